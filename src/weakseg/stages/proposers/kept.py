"""What was proposed for the objects of one image: counted, said in a sentence, and kept in a file."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from weakseg.errors import DataError, ShapeError, StoreError
from weakseg.files import read_json_object, write_json
from weakseg.ops.runs import check_counts, counts_of_text, decode_runs, encode_masks
from weakseg.stages.proposers.choose import NoEvidence
from weakseg.stages.proposers.look import Segment
from weakseg.stages.proposers.prompt import Prompt, Size

Answers = Mapping[Prompt, Segment]


@dataclass(frozen=True)
class Asked:
    """How often a proposer had a mask.

    Attributes:
        objects: That it was asked for: boxes, or points and scribbles.
        failures: How many of them were not found, by reason (``BoxSeeds.failures``).
        troubles: What exactly was wrong with answers that are no mask of the image.
    """

    objects: int
    failures: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Iterable[tuple[str, str]]) -> "Asked":
        """Count reasons and troubles."""
        found = list(told)
        failures = Counter(failure for failure, _ in found if failure)
        troubles = dict.fromkeys(trouble for _, trouble in found if trouble)
        return cls(len(found), dict(sorted(failures.items())), tuple(troubles))

    def doubt(self, proposer: str) -> str:
        """Return in a sentence what was not found; nothing where all was."""
        if not self.failures:
            return ""
        kinds = ", ".join(f"{reason}: {count}" for reason, count in self.failures.items())
        exactly = f"; {self.troubles[0]}" if self.troubles else ""
        asked = f"{sum(self.failures.values())} of {self.objects} objects ({kinds}{exactly})"
        return f"{proposer} has no mask for {asked}: boxes count whole, marks as without it"


def asked_of(answers: Answers) -> Asked:
    """Return how often there was a mask among answers."""
    return Asked.of((answer.failure, answer.trouble) for answer in answers.values())


def save_answers(path: Path, answers: Answers, size: Size) -> None:
    """Write what was found for prompts, in their order; masks as COCO's compressed runs."""
    pixels = np.array([answer.pixels for answer in answers.values()], np.bool_).reshape(-1, *size)
    runs = encode_masks(pixels) if len(pixels) else ()
    told = zip(answers.values(), runs, strict=True)
    objects = [{"counts": r.decode("latin-1"), "failure": a.failure, "trouble": a.trouble} for a, r in told]
    write_json(path, {"size": list(size), "objects": objects})


def load_answers(path: Path, prompts: Sequence[Prompt], size: Size) -> dict[Prompt, Segment]:
    """Return what ``save_answers`` wrote.

    Args:
        path: The file.
        prompts: That it answers, in the order in which it was written.
        size: (rows, columns) of the photograph.

    Raises:
        StoreError: If the file answers others, or is damaged.
    """
    found = _objects(path, size)
    if len(found) != len(prompts):
        raise StoreError(f"{path}: answers {len(found)} objects, the image has {len(prompts)}; delete it")
    try:
        for one in found:
            check_counts(counts_of_text(one["counts"], str(path)), size, str(path))
        pixels = decode_runs([one["counts"].encode("latin-1") for one in found], size)
    except (DataError, ShapeError) as error:
        raise StoreError(f"{error}; delete it") from error
    answers = (Segment(mask, one["failure"], one["trouble"]) for mask, one in zip(pixels, found, strict=True))
    return dict(zip(prompts, answers, strict=True))


def load_asked(path: Path) -> Asked:
    """Return how often there was a mask, as a file of ``save_answers`` says.

    Raises:
        StoreError: If it is damaged.
    """
    return Asked.of((one["failure"], one["trouble"]) for one in _objects(path))


def _objects(path: Path, size: Size | None = None) -> list[dict[str, Any]]:
    """Return the entries of a file, their texts checked."""
    told = read_json_object(path)
    found = told.get("objects")
    whole = isinstance(found, list) and all(
        isinstance(one, dict)
        and all(isinstance(one.get(name), str) for name in ("counts", "failure", "trouble"))
        and one["failure"] in get_args(NoEvidence)
        for one in found
    )
    if not whole or (size is not None and told.get("size") != list(size)):
        raise StoreError(f"{path}: does not say what was proposed for this image; delete it")
    return list(found or [])
