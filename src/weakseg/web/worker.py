"""Masks are computed beside the server's loop, one at a time; the newest mark overtakes older work."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from weakseg.errors import WeaksegError
from weakseg.web.masks import Draft, Shown

logger = logging.getLogger(__name__)

WAIT_SECONDS = 30.0
KEPT_MASKS = 16  # of other photographs all but the mask itself is kept


@dataclass(frozen=True)
class Answer:
    """What became of one revision of a photograph: a mask, a first one (``draft``), none, or why there is none."""

    revision: int
    shown: Shown | None = None
    error: str = ""
    complete: bool = True
    draft: bool = False

    def without_mask(self) -> "Answer":
        """Return what is said of the mask, without its pixels."""
        return replace(self, shown=self.shown and self.shown.without_mask(), complete=self.shown is None)


class OvertakenError(Exception):
    """A newer revision waits, or classes are others: the mask at hand is not finished."""


@dataclass(frozen=True)
class _Job:
    image_id: str
    revision: int
    make: Callable[[Draft], Shown | None]
    warm: Callable[[], None] | None = None
    generation: int = 0


class Worker:
    """One thread that makes masks. Of jobs that wait, the last one of each photograph is done, the newest first."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self._waiting: list[_Job] = []
        self._running: _Job | None = None
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()
        self._stopping = False
        self._generation = 0
        self._thread = threading.Thread(target=self._work, name="masks", daemon=True)

    def start(self) -> None:
        """Begin to work; called within the loop that waits for masks."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End after the job at hand."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def ask(self, image_id: str, revision: int, make: Callable[[Draft], Shown | None]) -> None:
        """Have a mask made, before all that waits; older revisions of the photograph are dropped.

        Args:
            image_id: Of the photograph.
            revision: Of what is said of it.
            make: Makes the mask; what it is called with takes a first one, where another follows.
        """
        with self._changed:
            known, now = self.answers.get(image_id), self._running
            if known is not None and known.revision >= revision and known.complete and not (known.error or known.draft):
                return
            if known is not None and known.error:  # it may have passed: whoever waits gets the next answer
                self.answers = {i: answer for i, answer in self.answers.items() if i != image_id}
            if now and now.image_id == image_id and now.revision >= revision and now.generation == self._generation:
                return
            if any(job.image_id == image_id and job.revision >= revision for job in self._waiting if not job.warm):
                return
            self._waiting = [job for job in self._waiting if job.image_id != image_id or job.warm]
            self._waiting.append(_Job(image_id, revision, make, generation=self._generation))
            self._changed.notify()

    def warm(self, image_id: str, warm: Callable[[], None]) -> None:
        """Have something computed when nothing else waits; what was to be computed for other photographs is dropped."""
        with self._changed:
            self._waiting = [job for job in self._waiting if not job.warm]
            self._waiting.insert(0, _Job(image_id, -1, lambda draft: None, warm))
            self._changed.notify()

    def forget(self) -> None:
        """Drop all masks, those that are being made too: classes or the run are others now."""
        with self._changed:
            self._generation += 1
            self._waiting = [job for job in self._waiting if job.warm]
            self.answers = {}

    async def wait(self, image_id: str, revision: int, *, drafts: bool = False) -> Answer | None:
        """Return the answer of a revision or a newer one, or its draft; ``None`` after ``WAIT_SECONDS``."""
        end = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            arrived = self._arrived
            answer = self.answers.get(image_id)
            if answer is not None and answer.revision >= revision and answer.complete and (drafts or not answer.draft):
                return answer
            left = end - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(arrived.wait(), max(left, 0))
            except TimeoutError:
                return None

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                job = self._running = self._waiting.pop()
            answer = self._done(job)
            with self._changed:
                self._running = None
                if answer is not None:
                    self._keep(job, answer)

    def _drafted(self, job: _Job, shown: Shown) -> None:
        """Keep a first mask, unless a newer one is wanted.

        Raises:
            OvertakenError: If one is.
        """
        with self._changed:
            waits = any(one.image_id == job.image_id for one in self._waiting if not one.warm)
            if waits or job.generation != self._generation:
                raise OvertakenError
            self._keep(job, Answer(job.revision, shown, draft=True))

    def _keep(self, job: _Job, answer: Answer) -> None:
        """Have an answer known, of the classes of now; called with the lock."""
        if job.generation != self._generation or self._loop is None:
            return
        others = [(i, kept) for i, kept in self.answers.items() if i != job.image_id]
        old, new = others[: -KEPT_MASKS + 1], others[-KEPT_MASKS + 1 :]
        self.answers = {i: kept.without_mask() if kept.complete else kept for i, kept in old} | dict(new)
        self.answers[job.image_id] = answer
        with suppress(RuntimeError):  # the server has ended meanwhile
            self._loop.call_soon_threadsafe(self._announce)

    def _done(self, job: _Job) -> Answer | None:
        try:
            if job.warm is not None:
                job.warm()
                return None
            return Answer(job.revision, job.make(lambda shown: self._drafted(job, shown)))
        except OvertakenError:
            return None
        except WeaksegError as error:
            return None if job.warm else Answer(job.revision, error=str(error))
        except Exception as error:
            logger.exception("mask of %r", job.image_id)
            return None if job.warm else Answer(job.revision, error=f"this is a bug of weakseg: {error!r:.300}")

    def _announce(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()
