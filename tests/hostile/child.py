"""Reads damaged files, one after the other, in a process that may die of it; says each before it begins."""

import io
import json
import logging
import random
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from types import FrameType
from typing import Any

from mutations import mutate
from subjects import SUBJECTS, Subject

from weakseg.errors import WeaksegError

MAX_SECONDS, MAX_BYTES = 10.0, 1_500_000_000
MARGIN_BYTES = 4_000_000_000  # of addresses; what is mapped and never touched is no memory


class TooLong(BaseException):
    """No exception that code under test may catch."""


def main(arguments: list[str]) -> None:
    """Work on numbers, as given: folder, first, end, step."""
    folder, (first, end, step) = Path(arguments[0]), map(int, arguments[1:])
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGPROF, _too_long)
    made: dict[str, dict[str, bytes]] = {}
    _limit_addresses()
    for number in range(first, end, step):
        subject = SUBJECTS[number % len(SUBJECTS)]
        say(begin=number)
        if subject.name not in made:
            made[subject.name] = _prepared(subject, _folder_of(subject, folder))
            _limit_addresses()
        for kind, text in attempt(subject, _folder_of(subject, folder), made[subject.name], number):
            say(number=number, subject=subject.name, kind=kind, text=text)
    say(end=True)


def _folder_of(subject: Subject, folder: Path) -> Path:
    """Return the folder of a subject, beside those of the others."""
    return folder / subject.name.replace("/", "_").replace("*", "all")


def _prepared(subject: Subject, folder: Path) -> dict[str, bytes]:
    """Make the sound files of a subject, read them, and return the content of those that get damaged."""
    shutil.rmtree(folder, ignore_errors=True)  # a child before this one may have died over it
    folder.mkdir(parents=True)
    with redirect_stderr(io.StringIO()):  # progress of units
        subject.make(folder)
        subject.read(folder)
    paths = [path for pattern in subject.damaged for path in sorted(folder.glob(pattern)) if path.is_file()]
    assert paths, f"{subject.name}: no file to damage"
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def attempt(subject: Subject, folder: Path, sound: dict[str, bytes], number: int) -> Iterator[tuple[str, str]]:
    """Read a subject with one of its files damaged, and yield what must not be."""
    rng = random.Random(f"{subject.name}/{number}")
    name = rng.choice(list(sound))
    (folder / name).write_bytes(mutate(name, sound[name], rng))
    _forget_peak()
    before = _peak_bytes()
    try:
        with time_limit(MAX_SECONDS), redirect_stderr(io.StringIO()):
            subject.read(folder)
    except WeaksegError as error:
        if len(str(error)) > 3000:
            yield "long", f"{name}: a message of {len(str(error))} characters: {str(error)[:300]}"
    except TooLong:
        yield "hang", f"{name}: {_tail()}"
    except Exception:
        yield "untyped", f"{name}: {_tail()}"
    finally:
        _restore(folder, sound)
    if (grown := _peak_bytes() - before) > MAX_BYTES:
        yield "memory", f"{name}: {grown / 1e9:.1f} GB"


def _restore(folder: Path, sound: dict[str, bytes]) -> None:
    """Write the files that are not as they were: reading a damaged run folder may put its steps aside."""
    for name, content in sound.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _tail() -> str:
    return "".join(traceback.format_exc().splitlines(keepends=True)[-7:])[-1500:]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of this process, however busy the machine is
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TooLong


def _limit_addresses() -> None:
    """Let no bug take the machine's memory."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MARGIN_BYTES, resource.RLIM_INFINITY))


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def say(**event: Any) -> None:
    """Print an event at once: the process may not live to the next."""
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
