"""Kills runs at random moments, and lets reads and writes fail: the same command must heal all of it.

``make torture`` does all, ``tests/pipeline/test_torture.py`` a tenth. Commands run in processes that are forked from
this one, which has loaded the libraries, so that an attempt takes little more than its work.
"""

import argparse
import errno
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

import accelerate  # noqa: F401
import joblib  # noqa: F401
import psutil
import timm  # noqa: F401
import torch
from PIL import Image

from generated import folder_arguments, write_folder
from weakseg.cli import main as cli
from weakseg.methods import METHODS, compare, run  # noqa: F401
from weakseg.report import compare as _compare_page  # noqa: F401
from weakseg.report import run as _run_page  # noqa: F401
from weakseg.stages import boundary, classify, segment  # noqa: F401
from weakseg.training.state import StateFile  # noqa: F401

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
PATIENCE_S = 5.0
COMPARED = (".png", ".safetensors", ".instances.json")
TRAINED = ("fit.epochs=2", "fit.batch_size=4", "augment.crop=32", "augment.long_side=[32,40]")
SETTINGS = {
    "classifier": TRAINED,
    "segmenter": TRAINED,
    "boundary": TRAINED,
    "affinity": TRAINED,
    "activations": ("scales=[1.0]",),
    "seeds": ("crf.iterations=1",),
    "readings": ("crf.iterations=1",),
    "masks": ("crf.iterations=1",),
    "predictions": ("scales=[1.0]",),
    "completion": ("gcn.steps=5", "partial.crf.iterations=1", "partial.min_seeds=2"),
}
STEPS = ("--completion.first_steps=3", "--completion.second_steps=3")
SECTIONS = {
    "cam": ("classifier", "activations", "seeds", "masks", "segmenter", "predictions"),
    "wsgcn-i": ("classifier", "seeds", "boundary", "segmenter", "activations", "masks", "completion"),
    "a2gnn": ("classifier", "affinity", "segmenter", "activations", "masks"),
}


@dataclass
class Cell:
    """One command with a number of workers, what it leaves undisturbed, and how long that takes."""

    name: str
    workers: int
    folder: Path
    random: random.Random
    products: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0

    def words(self, out: Path) -> list[str]:
        common = ["--out", str(out), "--workers", str(self.workers), *folder_arguments(self.folder / "data")]
        if self.name == "compare":
            return ["compare", "cam", "--methods", "cam,supervised", *common, *_settings("cam")]
        return ["run", self.name, *common, *_settings(self.name)]

    def measure(self) -> None:
        """Run undisturbed."""
        begun = time.monotonic()
        code = _ended(_started(self.words(self.folder / "reference"), self.folder / "log"))
        self.seconds = time.monotonic() - begun
        assert code == 0, f"{self.name}: undisturbed it ends with {code}:\n{(self.folder / 'log').read_text()[-1500:]}"
        self.products = products(self.folder / "reference")

    def heal(self, out: Path, after: str) -> None:
        """Run to the end, and compare."""
        code = _ended(_started(self.words(out), self.folder / "log"))
        where = f"{self.name}, {self.workers} workers, after {after}"
        assert code == 0, f"{where}: ends with {code}:\n{(self.folder / 'log').read_text()[-1500:]}"
        found = products(out)
        wrong = [name for name in found.keys() | self.products if found.get(name) != self.products.get(name)]
        assert not wrong, f"{where}: {len(wrong)} products differ: {sorted(wrong)[:5]}"
        assert not list(out.rglob(".part-*")), f"{where}: half written files are left"
        _check_metrics(out, where)


def _settings(method: str) -> list[str]:
    usual = [f"--{section}.{setting}" for section in SECTIONS[method] for setting in SETTINGS[section]]
    return [*usual, *(STEPS if method == "a2gnn" else ())]


def products(out: Path) -> dict[str, bytes]:
    """Return the files that count, by name: without what lies aside, made of other settings or data."""
    if (out / "results.json").exists():
        methods = json.loads((out / "results.json").read_text())["methods"]
        folders = {out / folder for method in methods for folder in method["steps"].values()}
    else:
        folders = {path for path in out.iterdir() if path.is_dir() and path.name not in ("data", "earlier")}
    paths = (path for folder in folders for path in folder.rglob("*") if path.name.endswith(COMPARED))
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def _check_metrics(out: Path, where: str) -> None:
    for path in out.rglob("state.pt"):
        epochs = torch.load(path, weights_only=True)["epoch"]
        lines = (path.parent / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == list(range(1, epochs + 1)), f"{where}: {path.parent}"


def _started(words: list[str], log: Path, fault: Callable[[], None] | None = None) -> int:
    """Start a command in a session of its own, and return its process id."""
    number = os.fork()
    if number:
        return number
    os.setsid()
    os.environ.pop("WEAKSEG_OWNER", None)  # each is a process of its own
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", closefd=False), write_through=True) for n in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["weakseg", *words]
    code = 70
    try:
        if fault:
            fault()
        code = cli.main()
    finally:
        os._exit(code)


def _ended(number: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def _left(session: int) -> list[str]:
    """Return the processes of a session that are alive."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
        except (psutil.Error, OSError):
            continue
    return found


def _shared() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def kill(cell: Cell, count: int) -> None:
    """Kill a run ``count`` times, each time a little further; whenever one reaches its end, begin another."""
    out, killed, done = cell.folder / "killed", 0, 0
    while killed < count:
        target = out / str(done)
        stop, delay = cell.random.choice(SIGNALS), cell.random.uniform(0, cell.seconds * 0.6)
        before = _shared()
        number = _started(cell.words(target), cell.folder / "log")
        time.sleep(delay)
        os.kill(number, stop)
        code, since = _ended(number), time.monotonic()
        if code not in (0, 1):
            killed += 1
            assert code in (CODES[stop], -stop), f"{cell.name}: {stop.name} ends it with {code}"
            while (left := _left(number)) and time.monotonic() - since < PATIENCE_S:
                time.sleep(0.05)
            assert not left, f"{cell.name}: alive {PATIENCE_S:.0f} s after {stop.name}: {left}"
            mine = {name for name in _shared() - before if str(number) in name}
            assert not mine, f"{cell.name}: left in shared memory after {stop.name}: {mine}"
        else:
            cell.heal(target, f"{killed} kills")
            done += 1
    cell.heal(out / str(done), f"{killed} kills")


def faults(draw: random.Random) -> dict[str, Callable[[], None]]:
    """Return what may go wrong for a while in a process, each at a random moment."""

    def failing(owner: object, name: str, error: BaseException, of: int, only: str = "") -> Callable[[], None]:
        turn = draw.randrange(of)

        def install() -> None:
            usual, calls = getattr(owner, name), [0]

            def call(*arguments: object, **options: object) -> object:
                if only in str(arguments[0] if arguments else ""):
                    calls[0] += 1
                    if turn < calls[0] <= turn + 2:
                        raise error
                return usual(*arguments, **options)

            setattr(owner, name, call)

        return install

    def system(code: int) -> OSError:
        return OSError(code, os.strerror(code))

    from weakseg.artifacts import Activations, LabelMap

    return {
        "a full disk": failing(Path, "write_bytes", system(errno.ENOSPC), 40),
        "a disk that cannot flush": failing(os, "fsync", system(errno.EIO), 40),
        "a folder that turns read-only": failing(Path, "replace", system(errno.EROFS), 40),
        "a photograph that cannot be read": failing(Image, "open", system(errno.EIO), 40, "/images/"),
        "a photograph that cannot be read at first": failing(Image, "open", system(errno.EIO), 3, "/images/"),
        "want of memory": failing(LabelMap, "save", MemoryError(), 8),
        "want of memory for activations": failing(Activations, "save", MemoryError(), 3),
    }


def harm(out: Path, draw: random.Random) -> str:
    """Delete, cut or change a product; return what was done."""
    path = out / draw.choice(sorted(products(out)))
    kind = draw.choice(("deleted", "cut", "changed"))
    content = path.read_bytes()
    if kind == "deleted":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if kind == "cut" else content[:-9] + b"x" * 9)
    return f"{path.relative_to(out)} was {kind}"


def fail(cell: Cell, count: int) -> None:
    """Let ``count`` runs meet a fault, or lose a product, and heal them."""
    for number in range(count):
        out = cell.folder / "failed" / str(number)
        name, fault = cell.random.choice(list(faults(cell.random).items()))
        code = _ended(_started(cell.words(out), cell.folder / "log", fault))
        assert code in (0, 1, 2), f"{cell.name}: {name} ends it with {code}"
        what = f"{name} (exit code {code})"
        if out.exists() and products(out):
            what += f", then {harm(out, cell.random)}"
        cell.heal(out, what)
        print(f"  {cell.name}: {what}: healed", flush=True)


def main(words: list[str] | None = None) -> int:
    """Torture the commands, and return 0 if all was healed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--commands", default="cam,wsgcn-i,a2gnn,compare")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    cells = [(name, int(workers)) for name in given.commands.split(",") for workers in given.workers.split(",")]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place, redirect_stderr(sys.stdout):
        for index, (name, workers) in enumerate(cells):
            folder = Path(place) / f"{name}-{workers}"
            write_folder(folder / "data", given.images)
            cell = Cell(name, workers, folder, random.Random(f"{given.seed} {name} {workers}"))
            cell.measure()
            share = [(total + index) // len(cells) for total in (given.kills, given.faults)]
            print(f"{name}, {workers} workers: {cell.seconds:.1f} s undisturbed, {share[0]} kills", flush=True)
            kill(cell, share[0])
            fail(cell, share[1])
    print(f"{given.kills} kills and {given.faults} faults healed in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
