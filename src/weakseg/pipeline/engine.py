"""Work on single images, spread over local processes; a failing image is named and does not stop the others."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import cv2
import torch
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from weakseg.data.sample import WeakSample
from weakseg.errors import OutputError, WeaksegError
from weakseg.pipeline.plan import Failure
from weakseg.progress import track


class ImageJob(Protocol):
    """Work on one image that leaves one file.

    A job with ``batch_size`` above one also has ``run_batch(samples)``, which does several images at once; where that
    fails they are done one by one.
    """

    def output(self, image_id: str) -> Path:
        """Return the file; where it exists the work is done."""
        ...

    def run(self, sample: WeakSample) -> None:
        """Do the work and write the file atomically."""
        ...


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """Compute on one thread from here on, so that results do not depend on the number of processes."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def map_images(job: ImageJob, samples: Sequence[WeakSample], *, title: str, workers: int = 1) -> list[Failure]:
    """Run ``job`` on the samples whose output is missing, and return the failures in the order of the samples.

    Each image is computed by one thread, whatever the number of processes, so that results are the same for any.

    Args:
        job: Picklable; one process may run it for many images.
        samples: The images.
        title: For progress, and the step's name in failures.
        workers: Number of processes; 1 runs in this one.

    Raises:
        OutputError: If the output folder cannot be written: that is no image's fault, and stops all.
    """
    todo = [sample for sample in samples if not job.output(sample.id).exists()]
    batch = getattr(job, "batch_size", 1)
    batches = [todo[start : start + batch] for start in range(0, len(todo), batch)]
    failures: dict[str, Failure] = {}
    with track(title, len(samples)) as advance:
        advance(len(samples) - len(todo))
        for done, failed in _outcomes(job, batches, title, min(workers, len(batches))):
            failures |= {failure.image_id: failure for failure in failed}
            advance(done)
    return [failures[sample.id] for sample in samples if sample.id in failures]


def release_workers() -> None:
    """End idle processes, so that a step of another kind has their memory."""
    get_reusable_executor().shutdown(wait=True)


Outcome = tuple[int, list[Failure]]  # images tried, and those that failed


def _outcomes(job: ImageJob, batches: Sequence[Sequence[WeakSample]], title: str, workers: int) -> Iterator[Outcome]:
    if workers <= 1:
        threads = torch.get_num_threads()
        try:
            for batch in batches:
                yield _attempt(job, batch, title)
        finally:
            torch.set_num_threads(threads)
    else:
        parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch=2 * workers)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)  # it is replaced
            try:
                yield from parallel(delayed(_attempt)(job, batch, title) for batch in batches)
            except TerminatedWorkerError as error:
                raise WeaksegError(
                    f"{title}: a process was ended by the system, most likely for want of memory; use fewer --workers"
                ) from error


def _attempt(job: ImageJob, batch: Sequence[WeakSample], title: str) -> Outcome:
    """Run the job on one image or on several at once, on one thread."""
    one_thread()
    if len(batch) > 1:
        with suppress(Exception):  # the images are then tried one by one, and the failing one is named
            job.run_batch(batch)  # type: ignore[attr-defined]
            return len(batch), []
    failures = [_attempt_one(job, sample, title) for sample in batch if not job.output(sample.id).exists()]
    return len(batch), [failure for failure in failures if failure]


def _attempt_one(job: ImageJob, sample: WeakSample, title: str) -> Failure | None:
    try:
        job.run(sample)
    except OutputError:
        raise
    except Exception as error:  # any fault of one image is reported, with its type, and must not stop the others
        return Failure(sample.id, title, f"{type(error).__name__}: {error}")
    return None
