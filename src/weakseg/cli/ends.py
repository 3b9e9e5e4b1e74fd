"""How a command ends: its exit code says what happened, whatever its streams can show."""

import errno
import io
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

EXIT_OK, EXIT_FAILURES, EXIT_ERROR = 0, 1, 2
EXIT_INTERRUPTED, EXIT_BROKEN_PIPE, EXIT_TERMINATED = 130, 141, 143
PATIENCE_S = 1.5
STREAM_ERRORS = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT})
QUIET = "ignore:resource_tracker:UserWarning"


class Terminated(KeyboardInterrupt):
    """The system, or a person, asks the process to end (SIGTERM)."""


def say(text: str) -> None:
    """Print a line to standard error, where that is possible."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def as_process(command: Callable[[], int]) -> int:
    """Carry out a command as a process of its own, and return its exit code.

    Closed streams lead nowhere, characters that a stream cannot show are escaped, SIGTERM is an interruption, and what
    standard output could not take is no success.
    """
    _open_streams()
    logging.raiseExceptions = False  # a line of the log that cannot be shown stops nothing
    signal.signal(signal.SIGTERM, _terminate)
    filters = os.environ.get("PYTHONWARNINGS")  # of the process that removes what a killed one has left in memory
    os.environ["PYTHONWARNINGS"] = f"{filters},{QUIET}" if filters else QUIET
    try:
        code = printed(lambda: _flushed(command))
    except KeyboardInterrupt as stop:  # before or after the work
        code = EXIT_TERMINATED if isinstance(stop, Terminated) else EXIT_INTERRUPTED
    if code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
        leave(code)
    return code


def drop_output() -> None:
    """Let what is printed from now on lead nowhere."""
    with suppress(OSError, ValueError):  # a stream of a test has no number
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, sys.stdout.fileno())
        os.close(number)


def printed(command: Callable[[], int]) -> int:
    """Carry out a command, and return its exit code, or that of output that could not be written."""
    try:
        return command()
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough; not all of it was printed
        drop_output()
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if not is_of_output(error):
            raise
        drop_output()
        say(f"weakseg: standard output cannot be written: {error.strerror}")
        return EXIT_ERROR


def is_of_output(error: Exception) -> bool:
    """Return whether an error is one of standard output: files that cannot be written are errors of their own."""
    return isinstance(error, OSError) and error.filename is None and error.errno in STREAM_ERRORS


def _flushed(command: Callable[[], int]) -> int:
    try:
        code = command()
    except SystemExit as end:  # of a parser that has shown its help
        code = end.code if isinstance(end.code, int) else EXIT_OK
    sys.stdout.flush()
    return code


def leave(code: int) -> None:
    """End at once, with the workers: to wait for them would take as long as what they work on."""
    with suppress(Exception):
        for worker in multiprocessing.active_children():  # one that is still starting does not watch its parent yet
            worker.kill()
    os._exit(code)


def _terminate(signal_number: int, frame: FrameType | None) -> None:
    last = threading.Timer(PATIENCE_S, leave, (EXIT_TERMINATED,))
    last.daemon = True
    last.start()
    raise Terminated


def _open_streams() -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            stream = _nowhere(number)
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper) and number:
            stream.reconfigure(errors="backslashreplace")


def _nowhere(number: int) -> io.TextIOWrapper:
    """Return a stream that leads nowhere, under its usual number where that is free, so that no file gets it."""
    opened = os.open(os.devnull, os.O_RDWR)
    try:
        os.fstat(number)
    except OSError:
        os.dup2(opened, number)
    if opened != number:
        os.close(opened)
    return Path(os.devnull).open("r" if number == 0 else "w", encoding="utf-8")
