"""A run that the page starts: a process of its own, which goes on where it was stopped."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from weakseg.data.dataset import open_dataset
from weakseg.errors import DataError, WeaksegError
from weakseg.files import OWNER
from weakseg.methods import METHODS
from weakseg.methods.recipes import RECIPE_FILE, load_recipe
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.web.entry import Entry

logger = logging.getLogger(__name__)

State = Literal["none", "running", "done", "failed", "stopped"]
RUN_FOLDER = "weakseg-run"
KEPT_LINES = 200
FEWEST = 2
LINKS = (
    ("Report", "report.html"),
    ("Masks and how far to trust them", "masks.csv"),
    ("Masks as COCO", "exports/masks.json"),
    ("Trained segmenter", "segmenter/model.safetensors"),
)
STOP_SECONDS = 15.0
FAILED = 2
STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)  # exit codes


class Training:
    """One run at a time on the labels of the page.

    Attributes:
        folder: Of the run.
        done: How often it has come to its end, an earlier page's run included.
    """

    def __init__(self, root: Path, labels: Path, boxes: BoxSeedConfig | None = None) -> None:
        """Look whether there is a run.

        Args:
            root: Of the photographs.
            labels: Their file.
            boxes: Whose proposer the run asks, too.
        """
        self.folder = labels.parent / RUN_FOLDER
        self._root, self._labels, self._boxes = root, labels, boxes or BoxSeedConfig()
        self._process: subprocess.Popen[str] | None = None
        self._stopping = False
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        found = [not self.is_elsewhere and (self.folder / name).is_file() for name in ("report.html", RECIPE_FILE)]
        self._state: State = "done" if found[0] else "stopped" if found[1] else "none"
        self.done = int(self._state == "done")
        self._started = self._ended = 0.0
        self._lock = threading.Lock()

    @property
    def is_elsewhere(self) -> bool:
        """Whether the run folder is a link that leads out of the folder of the labels."""
        return not self.folder.resolve().is_relative_to(self.folder.parent.resolve())

    def needed(self, entries: Mapping[str, Entry]) -> str | None:
        """Return why training cannot start; ``None`` where it can."""
        if not self._labels.is_relative_to(self._root):
            return f"labels lie outside of {self._root}; start the page with --labels inside it"
        if self.is_elsewhere:
            return f"{self.folder} is a link that leads elsewhere; remove it"
        labelled = [entry for entry in entries.values() if not entry.error]
        if len(labelled) < FEWEST or not any(entry.classes for entry in labelled):
            return f"label {FEWEST} photographs at least; {len(labelled)} are"
        return None

    def start(self, entries: Mapping[str, Entry]) -> None:
        """Start the run, or let it go on.

        Raises:
            DataError: If it is running, or cannot start.
        """
        with self._lock:
            if self._state == "running":
                raise DataError("training is running already")
            if reason := self.needed(entries):
                raise DataError(reason)
            method = "a2gnn" if any(entry.shapes or "mask" in entry.record for entry in entries.values()) else "cam"
            self._lines.clear()
            self._stopping = False
            self._state, self._started = "running", time.monotonic()
            commands = [with_what_counts(self.words(method)), self.export_words()]
            threading.Thread(target=self._carry_out, args=(commands,), daemon=True).start()

    def words(self, method: str) -> list[str]:
        """Return the command line of the run, without the program."""
        train = self._labels.relative_to(self._root).as_posix()
        data = {"root": str(self._root), "format": "weakseg", "train": train, "images": "."}
        given = {f"data.{name}": value for name, value in data.items()}
        if self._boxes.proposes and method == "a2gnn":
            asked = {name: getattr(self._boxes, name) for name in ("proposer", "proposer_file", "proposer_device")}
            given |= {f"seeds.boxes.{name}": value for name, value in asked.items() if value}
        return ["run", method, "--out", str(self.folder), *(w for k, v in given.items() for w in (f"--{k}", v))]

    def export_words(self) -> list[str]:
        """Return the command line that makes a COCO file of the masks, without the program."""
        out = self.folder / "exports" / "masks.json"
        return ["export", str(self.folder), "--format", "coco", "--out", str(out), "--overwrite"]

    def stop(self) -> None:
        """Ask the run to stop; what is finished is kept."""
        self._stopping = True
        process = self._process
        if process is None or process.poll() is not None:
            return
        logger.info("training is stopped; what is finished is kept in %s", self.folder)
        _end(process)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _end(process, kill=True)

    def as_json(self, entries: Mapping[str, Entry]) -> dict[str, Any]:
        """Return how it stands."""
        end = time.monotonic() if self._state == "running" else self._ended
        lines = list(self._lines)
        return {
            "state": self._state,
            "seconds": round(max(end - self._started, 0.0), 1),
            "lines": lines,
            "step": next((line for line in reversed(lines) if line.strip()), None),
            "folder": str(self.folder),
            "labelled": len(entries),
            "accepted": sum(entry.state == "accepted" for entry in entries.values()),
            "needed": self.needed(entries),
            "links": [{"text": text, "href": f"run/{name}"} for text, name in LINKS if (self.folder / name).is_file()],
        }

    def _carry_out(self, commands: Sequence[Sequence[str]]) -> None:
        """Carry out commands one after the other, up to the first that fails or is stopped."""
        state: State = "done"
        for words in commands:
            if self._stopping:
                state = "stopped"
                break
            try:
                code = self._followed(words)
            except OSError as error:
                self._lines.append(f"it cannot be started: {error}")
                code = FAILED
            if code not in (0, 1):  # 1: some images failed, which the log names
                state = "stopped" if self._stopping or code in STOPPED else "failed"
                break
        with self._lock:
            self._ended, self._state = time.monotonic(), state
            self.done += state == "done"

    def _followed(self, words: Sequence[str]) -> int:
        """Carry out a command, keep what it says, and return its exit code."""
        self._lines.append(f"$ weakseg {' '.join(words)}")
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "weakseg", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={k: v for k, v in os.environ.items() if k != OWNER} | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        if self._stopping:  # since it was asked whether it is
            _end(process)
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.append(line.rstrip("\n")[-1000:])
        return process.wait()


def with_what_counts(words: list[str]) -> list[str]:
    """Return the command line of a run, without activations where no label is read off any."""
    without = [*words, "--with_activations", "false"]
    for tried in (words, without) if words[1] == "a2gnn" else ():
        try:
            recipe = load_recipe("a2gnn", tried[4:])
            METHODS[recipe.method].build(recipe, open_dataset(recipe.data))
            return tried
        except WeaksegError as error:
            logger.info("%s: %s", " ".join(tried[:2]), error)
    return words


def _end(process: subprocess.Popen[str], *, kill: bool = False) -> None:
    """Ask a process and those that it has started to end, or end them."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill() if kill else process.terminate()
        else:
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGINT)
