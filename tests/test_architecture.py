"""Walks the syntax trees of the library: who imports whom, who can reach ground truth, what stays small and pure."""

import ast
import dataclasses
import re
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path

import pytest

import weakseg
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.truth import EvalSample

SOURCE = Path(weakseg.__file__).parent
LEVELS = (
    {"errors", "rng", "checks", "files", "names", "progress", "version", "lazy", "image_file", "yaml_text", "settings"}
    | {"crew", "lasting", "whole"},
    {"ops"},
    {"artifacts", "feature_maps", "instances"},
    {"nn", "graph", "data", "evaluation", "pipeline"},
    {"stages", "training"},
    {"deploy"},  # exports what stages apply, and compares with them; needs no plan
    {"steps"},
    {"methods"},
    {"photograph"},
    {"integrations"},
    {"cli", "report", "web", "api", "__init__", "__main__"},
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
DATA_LEVELS = (
    {
        "levels",
        "file_state",
        "image",
        "photographs",
        "paths",
        "values",
        "annotations",
        "classes",
        "class_map",
        "regions",
        "saliency",
    },
    {"sample", "reading", "counts", "crowded", "stray", "learnable", "groups"},
    {"formats", "knowledge"},
    {"config", "binding", "upright", "effort", "simulate", "simulate_drawn"},
    {"readers"},
    {"dataset"},
    {"check", "saliency_check", "truth", "simulated"},
)
DATA_LEVEL_OF = {part: level for level, parts in enumerate(DATA_LEVELS) for part in parts}
NEVER_EVALUATION = {
    "data",
    "deploy",
    "nn",
    "graph",
    "pipeline",
    "stages",
    "training",
    "methods",
    "photograph",
    "integrations",
}
TRUTH = "weakseg.data.truth"
MAY_SEE_TRUTH = (
    "evaluation/",
    "steps/evaluate.py",
    "cli/scores.py",
    "cli/sweeping.py",
    "cli/data.py",  # to ask what its values mean
    "report/run.py",  # to score, and to draw scores
    "data/simulated.py",  # to make weak labels of it, for experiments
)
MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 300, 40, 6
IO_MODULES = {"io", "os", "pathlib", "shutil", "tempfile", "pickle", "json", "safetensors", "cv2", "imageio"}
IO_CALLS = {"open", "fromfile", "tofile", "imread", "imwrite", "load", "save", "loadtxt", "savetxt", "read_text"}


@dataclasses.dataclass(frozen=True)
class Module:
    """One file of the package, parsed."""

    root: Path
    path: Path

    @property
    def where(self) -> str:
        return self.path.relative_to(self.root).as_posix()

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the dotted name as a tuple; of a package its ``__init__`` is left out."""
        parts = (self.root.name, *self.path.relative_to(self.root).with_suffix("").parts)
        return parts[:-1] if parts[-1] == "__init__" else parts

    @property
    def room(self) -> str:
        return room_of(".".join(self.parts))

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def imports(self, *, when_loaded: bool = False) -> Iterator[tuple[int, str]]:
        """Yield line and full name of whatever of the package is imported, at the top or within, named or relative.

        The version, a constant that every room may record, is left out.

        Args:
            when_loaded: Leave out what is imported within functions, and for type checkers alone.
        """
        root = self.root.name
        for node in _run_when_loaded(self.tree) if when_loaded else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.startswith(f"{root}.")]
            elif isinstance(node, ast.ImportFrom) and (base := self._base(node)).split(".")[0] == root:
                wanted = [alias.name for alias in node.names if (base, alias.name) != (root, "__version__")]
                names = [self._target(base, name) for name in wanted]
            elif isinstance(node, ast.Attribute) and _last_name(node.value) == root and node.attr != "__version__":
                names = [f"{root}.{node.attr}"]  # what is taken from it after a bare "import weakseg"
            else:
                continue
            yield from ((node.lineno, name) for name in names)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.parts if self.path.name == "__init__.py" else self.parts[:-1]
        above = package[: len(package) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])

    def _target(self, base: str, name: str) -> str:
        """Return ``base.name`` where that is a module, else ``base``."""
        folder = self.root.parent / Path(*base.split("."))
        is_module = (folder / f"{name}.py").exists() or (folder / name).is_dir()
        return f"{base}.{name}" if is_module else base


def _run_when_loaded(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is below a node and runs when its module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and _last_name(child.test) == "TYPE_CHECKING":
            child = ast.Module(child.orelse, [])
        else:
            yield child
        yield from _run_when_loaded(child)


def room_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def modules(root: Path) -> list[Module]:
    return library() if root == SOURCE else [Module(root, path) for path in sorted(root.rglob("*.py"))]


@cache
def library() -> list[Module]:
    """The library's modules, read once."""
    return [Module(SOURCE, path) for path in sorted(SOURCE.rglob("*.py"))]


def wrong_arrows(root: Path) -> Iterator[str]:
    """Yield every import that goes up, or to a room that the importer must not see."""
    for module in modules(root):
        if module.room not in LEVEL_OF:
            yield f"{module.where}: unknown room {module.room!r}; give it a level here and in docs/architecture.md"
            continue
        for line, name in module.imports():
            room = room_of(name)
            if LEVEL_OF.get(room, len(LEVELS)) > LEVEL_OF[module.room]:
                yield f"{module.where}:{line}: {module.room} imports {name}, which is above it"
            elif room == "evaluation" and module.room in NEVER_EVALUATION:
                yield f"{module.where}:{line}: {module.room} imports {name}; it must not know the truth"
            elif room == module.room == "methods":
                ours, theirs = (_method(root, parts) for parts in (module.parts, name.split(".")))
                if ours and theirs and ours != theirs:
                    yield f"{module.where}:{line}: {ours} imports {name}; methods never import each other"


def _method(root: Path, parts: typing.Sequence[str]) -> str:
    """Return the folder of a method, or "" for what all methods share."""
    return parts[2] if len(parts) > 2 and (root / "methods" / parts[2]).is_dir() else ""


def wrong_arrows_in_data(root: Path) -> Iterator[str]:
    """Yield every import within the data room that goes up, and its modules that import each other in a circle."""
    inside: dict[str, set[str]] = {}
    for module in (m for m in modules(root) if m.room == "data" and len(m.parts) > 2):
        targets = [(line, name) for line, name in module.imports() if name.startswith(f"{root.name}.data.")]
        inside[".".join(module.parts)] = {name for _, name in targets}
        part = module.parts[2]
        if part not in DATA_LEVEL_OF:
            yield f"{module.where}: unknown part {part!r} of data; give it a level here and in docs/architecture.md"
            continue
        for line, name in targets:
            if DATA_LEVEL_OF.get(name.split(".")[2], len(DATA_LEVELS)) > DATA_LEVEL_OF[part]:
                yield f"{module.where}:{line}: {part} imports {name}, which is above it"
    if found := _in_circles(inside):
        yield f"data: {', '.join(found)} import each other in a circle"


def circles(root: Path) -> Iterator[str]:
    """Yield the modules that import each other in a circle when they are loaded."""
    found = {".".join(m.parts): {name for _, name in m.imports(when_loaded=True)} for m in modules(root)}
    if inside := _in_circles(found):
        yield f"{', '.join(inside)} import each other in a circle"


def _in_circles(targets: typing.Mapping[str, set[str]]) -> list[str]:
    """Return the modules on circles, and between two of them, given what each imports."""
    left = {name: (wanted & targets.keys()) - {name} for name, wanted in targets.items()}
    while True:
        imported = set().union(*left.values())
        kept = {name for name, wanted in left.items() if wanted and name in imported}
        if len(kept) == len(left):
            return sorted(left)
        left = {name: left[name] & kept for name in kept}


def truth_importers(root: Path) -> Iterator[str]:
    """Yield whatever imports ground truth, or names its module in a string, without being allowed to."""
    for module in modules(root):
        if module.where.startswith(MAY_SEE_TRUTH) or module.where == "data/truth.py":
            continue
        found = [line for line, name in module.imports() if name == TRUTH or name.startswith(TRUTH + ".")]
        strings = [n for n in ast.walk(module.tree) if isinstance(n, ast.Constant) and n.value in (TRUTH, ".truth")]
        for line in [*found, *(node.lineno for node in strings)]:
            yield f"{module.where}:{line}: reaches {TRUTH}"


def impure_operators(root: Path) -> Iterator[str]:
    """Yield modules with state and file access in ``ops``."""
    for module in (m for m in modules(root) if m.room == "ops"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and any(_last_name(base) == "Module" for base in node.bases):
                yield f"{module.where}:{node.lineno}: {node.name} is an nn.Module"
            if isinstance(node, ast.Call) and _last_name(node.func) in IO_CALLS:
                yield f"{module.where}:{node.lineno}: {_last_name(node.func)}() touches files"
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.split(".")[0] in IO_MODULES or name == "weakseg.files":
                    yield f"{module.where}:{node.lineno}: imports {name}"  # type: ignore[attr-defined]


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def oversized(root: Path) -> Iterator[str]:
    """Yield modules and functions that are too long; docstrings of functions do not count."""
    for module in modules(root):
        lines = len(module.path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_MODULE_LINES:
            yield f"{module.where}: {lines} lines, more than {MAX_MODULE_LINES}"
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (length := _body_lines(node)) > MAX_FUNCTION_LINES
            ):
                yield f"{module.where}:{node.lineno}: {node.name} has {length} lines, more than {MAX_FUNCTION_LINES}"


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def crowded(root: Path) -> Iterator[str]:
    """Yield functions with too many parameters, and dataclasses with too many fields that have no default."""
    for module in modules(root):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                what, count = "parameters", len(_parameters(node))
            elif isinstance(node, ast.ClassDef) and any(map(_is_dataclass, node.decorator_list)):
                what, count = "fields without a default", len(_wanted_fields(node))
            else:
                continue
            if count > MAX_PARAMETERS:
                yield f"{module.where}:{node.lineno}: {node.name} has {count} {what}, more than {MAX_PARAMETERS}"


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    names = [argument.arg for argument in given]
    return names[1:] if names[:1] in (["self"], ["cls"], ["ctx"]) else names


def _is_dataclass(decorator: ast.expr) -> bool:
    return _last_name(decorator.func if isinstance(decorator, ast.Call) else decorator) == "dataclass"


def _wanted_fields(node: ast.ClassDef) -> list[str]:
    """Return the names of a dataclass's own fields without a default; constants of the class are none."""
    lines = [line for line in node.body if isinstance(line, ast.AnnAssign) and line.value is None]
    return [ast.unparse(line.target) for line in lines if "ClassVar" not in ast.unparse(line.annotation)]


RULES = (wrong_arrows, wrong_arrows_in_data, circles, truth_importers, impure_operators, oversized, crowded)


@pytest.mark.parametrize("rule", RULES)
def test_the_library_keeps_the_rule(rule: Callable[[Path], Iterator[str]]) -> None:
    assert list(rule(SOURCE)) == []


def test_the_walk_sees_the_library() -> None:
    found = modules(SOURCE)
    assert len(found) > 50
    assert {module.room for module in found} >= {
        "ops",
        "nn",
        "data",
        "evaluation",
        "stages",
        "pipeline",
        "methods",
        "cli",
    }
    arrows = {(module.room, room_of(name)) for module in found for _, name in module.imports()}
    assert {
        ("stages", "ops"),
        ("evaluation", "data"),
        ("steps", "stages"),
        ("steps", "pipeline"),
        ("ops", "checks"),
    } <= arrows
    seen = {module.where for module in found for _, name in module.imports() if name == TRUTH}
    assert "evaluation/protocol.py" in seen


class TestWeakSample:
    def test_it_has_no_mask(self) -> None:
        fields = [field.name for field in dataclasses.fields(WeakSample)]
        assert fields == ["id", "image_path", "tags", "drawn", "file", "saliency"]
        public = {name for name in dir(WeakSample) if not name.startswith("_")}
        assert public - {*fields} == {"load_image", "load_saliency", "shows_nothing"}
        assert [field.name for field in dataclasses.fields(Tags)] == ["present", "unknown"]

    def test_nothing_that_it_holds_leads_to_truth(self) -> None:
        assert EvalSample not in _reachable(WeakSample)
        assert WeakSample in _reachable(EvalSample)  # the arrow goes one way

    def test_its_module_never_loads_that_of_the_truth(self) -> None:
        known = {".".join(module.parts): module for module in modules(SOURCE)}
        closure, queue = set(), ["weakseg.data.sample"]
        while queue:
            name = queue.pop()
            if name in known and name not in closure:
                closure.add(name)
                queue += [target for _, target in known[name].imports()]
        assert "weakseg.data.image" in closure
        assert TRUTH not in closure


def _reachable(cls: type) -> set[type]:
    """Return the dataclasses that fields of a dataclass, and their type arguments, lead to."""
    found, queue = {cls}, [*typing.get_type_hints(cls).values()]
    while queue:
        hint = queue.pop()
        queue += typing.get_args(hint)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint not in found:
            found.add(hint)
            queue += typing.get_type_hints(hint).values()
    return found


class TestTheCheckerItself:
    """Each rule fails on a made-up package that breaks it, and on nothing else in it."""

    @staticmethod
    def package(folder: Path, files: dict[str, str]) -> Path:
        for name in ("data/__init__.py", "data/truth.py", "data/sample.py", "evaluation/confusion.py", "nn/losses.py"):
            files = {name: "", **files}
        for name, text in files.items():
            path = folder / "weakseg" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder / "weakseg"

    @pytest.mark.parametrize(
        ("where", "text"),
        [
            ("ops/bad.py", "from weakseg.nn.losses import tag_loss"),
            ("ops/bad.py", "import weakseg.nn.losses"),
            ("ops/bad.py", "from weakseg import nn"),
            ("ops/bad.py", "from ..nn import losses"),
            ("ops/bad.py", "def f():\n    from weakseg.artifacts import LabelMap"),
            ("ops/bad.py", "from weakseg import segment"),
            ("pipeline/bad.py", "import weakseg\nweakseg.segment('a.jpg', ['cat'])"),
            ("ops/bad.py", "import weakseg.errors\nx = weakseg.nn"),
            ("errors.py", "from weakseg.ops import cam"),
            ("data/bad.py", "from weakseg.evaluation.confusion import Confusion"),
            ("nn/bad.py", "from weakseg.evaluation import confusion"),
            ("graph/bad.py", "from ..evaluation.confusion import Confusion"),
            ("stages/bad.py", "import weakseg.evaluation.confusion as c"),
            ("training/bad.py", "from weakseg import evaluation"),
            ("methods/cam/bad.py", "from weakseg.evaluation.confusion import Confusion"),
            ("methods/cam/bad.py", "from weakseg.methods.supervised.config import Recipe"),
            ("methods/cam/bad.py", "from ..supervised import config"),
            ("evaluation/bad.py", "from weakseg.stages.seed import seed_image"),
            ("pipeline/bad.py", "from weakseg.methods import METHODS"),
            ("pipeline/bad.py", "from weakseg.stages.seed import seed_image"),
            ("pipeline/engines/bad.py", "from weakseg.steps.base import cached"),
            ("pipeline/bad.py", "from weakseg.evaluation.confusion import Confusion"),
            ("stages/bad.py", "from weakseg.steps.seed import SeedJob"),
            ("steps/bad.py", "from weakseg.methods.recipe import Recipe"),
            ("methods/cam/bad.py", "from weakseg.photograph.photograph import Photograph"),
            ("photograph/bad.py", "from weakseg.api import segment"),
            ("photograph/bad.py", "from weakseg.evaluation.confusion import Confusion"),
            ("settings/bad.py", "from weakseg.ops.cam import grid_size"),
            ("methods/cam/bad.py", "from weakseg.cli.main import main"),
            ("nn/bad.py", "from weakseg.nowhere import x"),
            ("zoo/bad.py", "x = 1"),
        ],
    )
    def test_arrows(self, tmp_path: Path, where: str, text: str) -> None:
        root = self.package(tmp_path, {where: text, "methods/supervised/config.py": "", "methods/cam/plan.py": ""})
        violations = list(wrong_arrows(root))
        assert len(violations) == 1
        assert violations[0].startswith(where)

    @pytest.mark.parametrize(
        ("where", "text"),
        [
            (
                "ops/good.py",
                "import torch\nfrom weakseg.errors import ShapeError\nfrom weakseg.ops.cam import grid_size",
            ),
            ("evaluation/good.py", "from weakseg.data.truth import EvalSample\nfrom .confusion import Confusion"),
            ("stages/good.py", "from weakseg.training.loop import Fit\nfrom ..nn import losses"),
            ("methods/cam/good.py", "from .config import Recipe\nfrom weakseg.pipeline.plan import Step"),
            ("methods/recipes.py", "from weakseg.methods.cam.config import CamRecipe"),
            ("photograph/good.py", "from weakseg.methods.a2gnn.train import train_a2gnn"),
            ("steps/good.py", "from weakseg.pipeline.plan import Step\nfrom weakseg.stages.seed import seed_image"),
            ("methods/cam/good.py", "from weakseg.methods.recipes import METHODS"),
            ("api.py", "from weakseg.report import render\nfrom weakseg.cli.main import main"),
            ("__init__.py", "from weakseg.api import segment"),
            ("pipeline/good.py", "import weakseg\nx = weakseg.__version__"),
            ("ops/good.py", "from weakseg import __version__"),
        ],
    )
    def test_allowed_arrows(self, tmp_path: Path, where: str, text: str) -> None:
        assert list(wrong_arrows(self.package(tmp_path, {where: text}))) == []

    @pytest.mark.parametrize(
        ("where", "text"),
        [
            ("data/image.py", "from weakseg.data.formats.tags import TagTable"),
            ("data/values.py", "from .formats import tags"),
            ("data/formats/bad.py", "from weakseg.data.readers import voc"),
            ("data/formats/bad.py", "from weakseg.data.binding import bind"),
            ("data/formats/bad.py", "def f():\n    from ..config import DataConfig"),
            ("data/upright.py", "from weakseg.data.readers.voc import read"),
            ("data/readers/bad.py", "from weakseg.data.dataset import open_dataset"),
            ("data/dataset.py", "import weakseg.data.check"),
            ("data/utils.py", "x = 1"),
        ],
    )
    def test_arrows_in_data(self, tmp_path: Path, where: str, text: str) -> None:
        names = ("formats/tags", "readers/voc", "binding", "config", "dataset", "check")
        root = self.package(tmp_path, {**{f"data/{name}.py": "" for name in names}, where: text})
        violations = list(wrong_arrows_in_data(root))
        assert len(violations) == 1
        assert violations[0].startswith(where)

    def test_circles_in_data(self, tmp_path: Path) -> None:
        files = {
            "data/image.py": "",
            "data/values.py": "from weakseg.data.image import MAX_PIXELS",
            "data/formats/tags.py": "from weakseg.data.values import shown\nfrom .csv import rows",
            "data/formats/csv.py": "",
            "data/config.py": "from weakseg.data.formats import tags",
            "data/dataset.py": "from weakseg.data.config import DataConfig\nfrom weakseg.errors import DataError",
        }
        assert list(wrong_arrows_in_data(self.package(tmp_path, files))) == []
        files["data/formats/csv.py"] = "def f():\n    from weakseg.data.formats import tags"
        (violation,) = wrong_arrows_in_data(self.package(tmp_path, files))
        assert "data.formats.csv" in violation and "data.formats.tags" in violation and "circle" in violation

    @pytest.mark.parametrize(
        "where",
        [
            "stages/bad.py",
            "nn/bad.py",
            "methods/cam/bad.py",
            "cli/bad.py",
            "data/bad.py",
            "pipeline/bad.py",
            "steps/bad.py",
        ],
    )
    @pytest.mark.parametrize(
        "text",
        [
            "from weakseg.data.truth import EvalSample",
            "import weakseg.data.truth",
            "from weakseg.data import truth",
            "def f():\n    import weakseg.data.truth as t",
            "import importlib\nimportlib.import_module('weakseg.data.truth')",
        ],
    )
    def test_truth(self, tmp_path: Path, where: str, text: str) -> None:
        violations = list(truth_importers(self.package(tmp_path, {where: text})))
        assert len(violations) == 1
        assert violations[0].startswith(where)

    @pytest.mark.parametrize("text", ["from ..data import truth as t", "from ..data.truth import open_truth"])
    @pytest.mark.parametrize("where", ["stages/bad.py", "data/bad.py"])
    def test_truth_from_the_next_room(self, tmp_path: Path, where: str, text: str) -> None:
        assert len(list(truth_importers(self.package(tmp_path, {where: text})))) == 1

    @pytest.mark.parametrize("text", ["from .truth import EvalSample", "from . import truth"])
    def test_truth_from_beside_it(self, tmp_path: Path, text: str) -> None:
        assert len(list(truth_importers(self.package(tmp_path, {"data/bad.py": text})))) == 1
        assert len(list(truth_importers(self.package(tmp_path, {"data/bad.py": "", "data/__init__.py": text})))) == 1

    @pytest.mark.parametrize("where", ["evaluation/good.py", "steps/evaluate.py"])
    def test_who_may_see_truth(self, tmp_path: Path, where: str) -> None:
        root = self.package(tmp_path, {where: "from weakseg.data.truth import EvalSample"})
        assert list(truth_importers(root)) == []

    @pytest.mark.parametrize(
        "text",
        [
            "class Layer(nn.Module): ...",
            "class Layer(torch.nn.Module): ...",
            "class Layer(Module): ...",
            "x = open('a')",
            "x = Image.open('a')",
            "x = torch.load('a')",
            "np.save('a', 1)",
            "from pathlib import Path",
            "import os.path",
            "from weakseg.files import write_bytes",
        ],
    )
    def test_impurity(self, tmp_path: Path, text: str) -> None:
        assert len(list(impure_operators(self.package(tmp_path, {"ops/bad.py": text})))) == 1
        assert list(impure_operators(self.package(tmp_path / "elsewhere", {"nn/fine.py": text}))) == []

    def test_sizes(self, tmp_path: Path) -> None:
        doc = '    """First.\n' + "\n" * 50 + '    """\n'
        fine = "def fine():\n" + doc + "    x = 1\n" * 40
        assert list(oversized(self.package(tmp_path, {"ops/a.py": fine}))) == []
        long = "class A:\n    def long(self):\n" + "        x = 1\n" * 41
        assert list(oversized(self.package(tmp_path, {"ops/b.py": long}))) == [
            "ops/b.py:2: long has 41 lines, more than 40"
        ]
        root = self.package(tmp_path / "c", {"ops/c.py": "x = 1\n" * 301})
        assert list(oversized(root)) == ["ops/c.py: 301 lines, more than 300"]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("from weakseg.nn.b import y", "from weakseg.nn.a import x"),
            ("from weakseg.nn import b", "from . import a"),
            ("class A:\n    import weakseg.nn.b", "try:\n    from .a import x\nexcept ImportError:\n    x = 1"),
            (
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x = 1\nelse:\n    import weakseg.nn.b",
                "import weakseg.nn.c",
            ),
        ],
    )
    def test_circles(self, tmp_path: Path, one: str, other: str) -> None:
        files = {
            "nn/a.py": one,
            "nn/b.py": other,
            "nn/c.py": "from weakseg.nn.a import x",
            "nn/d.py": "import weakseg.nn.a",
        }
        (violation,) = circles(self.package(tmp_path, files))
        assert "weakseg.nn.a" in violation and "weakseg.nn.b" in violation
        assert "weakseg.nn.d" not in violation and "weakseg.nn.losses" not in violation

    @pytest.mark.parametrize(
        "back",
        [
            "",
            "def f():\n    from weakseg.nn.a import x",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from weakseg.nn.a import x",
            "import typing\nif typing.TYPE_CHECKING:\n    from weakseg.nn.a import x",
            "from weakseg.nn.losses import tag_loss",
        ],
    )
    def test_what_is_no_circle(self, tmp_path: Path, back: str) -> None:
        root = self.package(tmp_path, {"nn/a.py": "from weakseg.nn.b import y\nimport weakseg", "nn/b.py": back})
        assert list(circles(root)) == []

    def test_crowds(self, tmp_path: Path) -> None:
        six, seven = ", ".join("abcdef"), ", ".join("abcdefg")
        fields = "".join(f"    {name}: int\n" for name in "abcdef")
        fine = (
            f"def f({six}): ...\nclass A:\n    def __init__(self, {six}): ...\n    @classmethod\n"
            f"    def g(cls, {six}): ...\ndef h({six}, *rest, **more): ...\n"
            f"@dataclass(frozen=True)\nclass B:\n{fields}    g: int = 0\n    h: list = field(default_factory=list)\n"
            "    suffix: ClassVar[str]\n"
        )
        assert list(crowded(self.package(tmp_path / "fine", {"nn/a.py": fine}))) == []
        for text, found in {
            f"def f({seven}): ...": "1: f has 7 parameters, more than 6",
            "def f(a, b, /, c, *, d, e, f, g): ...": "1: f has 7 parameters, more than 6",
            f"class A:\n    def __init__(self, {seven}): ...": "2: __init__ has 7 parameters, more than 6",
            f"class A:\n    async def f(self, {seven}): ...": "2: f has 7 parameters, more than 6",
            f"@dataclasses.dataclass\nclass B:\n{fields}    g: int": "2: B has 7 fields without a default, more than 6",
        }.items():
            root = self.package(tmp_path / str(abs(hash(text))), {"nn/a.py": text})
            assert list(crowded(root)) == [f"nn/a.py:{found}"]


def test_modules_beside_tests_have_names_of_their_own() -> None:
    """All folders of tests are searched for them: of two of one name a test would get either."""
    tests = Path(__file__).parent
    folders = {path.parent for path in tests.rglob("__init__.py")}
    names = Counter(path.stem for path in tests.rglob("*.py") if path.parent not in folders)
    assert [name for name, number in names.items() if number > 1 and name != "conftest"] == []
    assert [path for path in tests.rglob("*.py") if re.search("^from conftest", path.read_text(), re.MULTILINE)] == []
