"""Damages files by the thousand and reads them: ``python tests/hostile/fuzz.py 50000``, or one number by ``--only``.

Children do the reading; one that dies, or does not answer, is a finding, and another goes on behind it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ANSWER_SECONDS = 120.0

Finding = dict[str, Any]


def findings(count: int, *, start: int = 0, workers: int = 2) -> list[Finding]:
    """Return what ``count`` damaged files have shown that must not be: nothing, if all is well."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        parts = [(Path(folder) / str(n), start + n, start + count, workers) for n in range(workers)]
        return [finding for found in pool.map(lambda part: list(_watched(*part)), parts) for finding in found]


def _watched(folder: Path, first: int, end: int, step: int) -> Iterator[Finding]:
    """Start children until all numbers are done, and yield their findings and their deaths."""
    while first < end:
        last, done = first, False
        for event in _events(folder, first, end, step):
            last, done = event.get("begin", last), done or "end" in event
            if "kind" in event:
                yield event
        if done:
            return
        yield {"number": last, "subject": "?", "kind": "death", "text": "the process died, or gave no answer"}
        first = last + step


def _events(folder: Path, *numbers: int) -> Iterator[dict[str, Any]]:
    command = [sys.executable, str(HERE / "child.py"), str(folder), *map(str, numbers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True, cwd=HERE)
    assert process.stdout is not None
    timer = _restarted(None, process)
    for line in process.stdout:
        timer = _restarted(timer, process)
        if line.startswith("{"):
            yield json.loads(line)
    timer.cancel()
    process.wait()


def _restarted(timer: threading.Timer | None, process: subprocess.Popen[str]) -> threading.Timer:
    if timer is not None:
        timer.cancel()
    timer = threading.Timer(ANSWER_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    return timer


def described(found: list[Finding]) -> str:
    """Return findings as text, the first of each kind and subject whole."""
    counts = Counter((one["kind"], one["subject"]) for one in found)
    first = {(one["kind"], one["subject"], one["text"][-120:]): one for one in reversed(found)}
    lines = [f"{count} x {kind} in {subject}" for (kind, subject), count in counts.most_common()]
    lines += [f"\n--only {one['number']}: {one['kind']} in {one['subject']}: {one['text']}" for one in first.values()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=50_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--only", type=int, help="one number alone, as a finding names it")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.only is not None:
        found = findings(1, start=given.only, workers=1)
    else:
        found = findings(given.count, start=given.start, workers=given.workers)
    print(described(found) or f"{given.count} damaged files: each was read, or refused in words")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
