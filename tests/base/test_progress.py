import errno
import io
import itertools
import sys

import pytest
from rich.console import Console

from weakseg import progress
from weakseg.progress import duration, track


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time that the module sees, in a list of one number."""
    now = [100.0]
    monkeypatch.setattr("weakseg.progress.time.monotonic", lambda: now[0])
    return now


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""  # standard output is for results
    return captured.err.splitlines()


def test_a_short_step_prints_one_line(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with track("score masks", 4) as advance:
        for _ in range(4):
            clock[0] += 0.5
            advance(1)
    assert lines(capsys) == ["score masks: 4/4, 2.0 s"]


def test_a_long_step_prints_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with track("activate", 60) as advance:
        for _ in range(60):
            clock[0] += 0.5
            advance(1)
    assert lines(capsys) == [
        "activate: 20/60, 2.00/s, 20.0 s left",
        "activate: 40/60, 2.00/s, 10.0 s left",
        "activate: 60/60, 30.0 s",
    ]


def test_loading_before_the_first_item_counts_for_no_rate(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with track("seeds", 60) as advance:
        clock[0] += 14  # libraries are loaded, and models
        advance(1)
        for _ in range(40):
            clock[0] += 0.5
            advance(1)
    assert lines(capsys)[:2] == ["seeds: 1/60, begun", "seeds: 21/60, 2.00/s, 19.5 s left"]


def test_what_was_done_before_counts_at_once_and_for_no_rate(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with track("seeds", 100, done=60) as advance:
        for _ in range(30):
            clock[0] += 0.5
            advance(1)
    assert lines(capsys)[0] == "seeds: 80/100, 2.00/s, 10.0 s left"


def test_progress_that_cannot_be_shown_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    with track("predict", 2) as advance:
        advance(2)


def test_times_are_said_as_people_do() -> None:
    assert [duration(s) for s in (0.04, 59.94, 60, 312.4, 3599.6, 7384)] == [
        "0.0 s", "59.9 s", "1 min 0 s", "5 min 12 s", "1 h 0 min", "2 h 3 min"
    ]  # fmt: skip


def test_items_may_come_in_batches(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with track("train", 10) as advance:
        for count in (4, 4, 2):
            clock[0] += 1
            advance(count)
    assert lines(capsys) == ["train: 10/10, 3.0 s"]


def test_plain_lines_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    with track("predict", 2) as advance:
        advance(2)
    assert all(line.isprintable() for line in lines(capsys))


def test_nothing_to_do_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with track("predict", 0) as advance:
        advance(0)
    assert lines(capsys) == []


def test_nothing_done_is_no_division_by_zero(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with track("predict", 5):
        pass
    assert lines(capsys) == ["predict: 0/5, begun"]


def test_an_error_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), track("predict", 5) as advance:
        advance(1)
        raise KeyError("x")
    assert not any("5/5" in line for line in lines(capsys))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what a terminal of 120 columns is sent."""
    screen = io.StringIO()
    monkeypatch.setattr(
        progress, "Console", lambda **_: Console(file=screen, force_terminal=True, width=120, color_system=None)
    )
    return screen


def test_a_terminal_gets_a_bar(terminal: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    with track("predict", 3) as advance:
        for _ in range(3):
            advance(1)
    text = terminal.getvalue()
    assert "predict" in text
    assert "3/3" in text
    assert "begun" in text and " s\n" in text
    assert lines(capsys) == []


def test_brackets_in_a_title_are_shown(terminal: io.StringIO) -> None:
    with track("predict [val]", 1) as advance:
        advance(1)
    assert "predict [val]" in terminal.getvalue()


def test_a_bar_within_a_bar(terminal: io.StringIO) -> None:
    with track("outer", 2) as outer, track("inner", 1) as inner:
        inner(1)
        outer(2)
    assert "inner" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()


def test_standard_error_is_looked_up_late(monkeypatch: pytest.MonkeyPatch) -> None:
    # Notebooks and test runners replace it after import.
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with track("predict", 1) as advance:
        advance(1)
    assert screen.getvalue().startswith("predict: 1/1")


def test_time_never_runs_backwards(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("weakseg.progress.time.monotonic", lambda: float(next(ticks) // 50))
    with track("predict", 100) as advance:
        for _ in range(100):
            advance(1)
    assert lines(capsys)[-1].startswith("predict: 100/100")
