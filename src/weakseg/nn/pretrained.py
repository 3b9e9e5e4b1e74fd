"""Weights of other programs into a network: names aligned, heads left out, every difference named."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError

logger = logging.getLogger(__name__)

SHOWN = 5  # names that a message lists of each kind
COUNTER = "num_batches_tracked"  # of batches, which older files do not count


def load_pretrained(
    model: nn.Module,
    given: Mapping[str, Tensor],
    where: str,
    *,
    heads: Collection[str] = (),
    drawn: Collection[str] = (),
) -> None:
    """Copy the tensors of a file into a network; arguments and errors as those of ``fitting_weights``."""
    model.load_state_dict(fitting_weights(model.state_dict(), given, where, heads=heads, drawn=drawn), strict=False)


def fitting_weights(
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    where: str,
    *,
    heads: Collection[str] = (),
    drawn: Collection[str] = (),
) -> dict[str, Tensor]:
    """Return the tensors of a file that a network has, by its names; what is left out or converted is logged.

    A prefix of all names (``module.``, ``backbone.``) is dropped. Parts that the network does not have are heads, and
    left out. Other precisions become float32.

    Args:
        own: State of the network, of which names, shapes and kinds of number count.
        given: Names and tensors of the file.
        where: The file, for messages.
        heads: Parts that are left out although the network has parts that are called so.
        drawn: Parts of the network that keep their random values if the file has nothing of them.

    Raises:
        CheckpointError: If the file holds several such networks, or if tensors are missing, have another shape, belong
            to a part of the network that has no such tensor, or are no finite numbers. Lists names of each kind.
    """
    own = {name: value for name, value in own.items() if not name.endswith(COUNTER)}
    prefix = shared_prefix(given, own, where)
    found = [name for name in given if name.startswith(prefix)]
    plain = {name.removeprefix(prefix): given[name] for name in found if not name.endswith(COUNTER)}
    parts = {name.partition(".")[0] for name in own}
    taken = {name: value for name, value in plain.items() if name in own or _is_of(parts, name, heads)}
    fresh = {part for part in drawn if not any(_within(name, part) for name in taken)}
    wanted = {name: value for name, value in own.items() if not any(_within(name, part) for part in fresh)}
    left_out = sorted([*(plain.keys() - taken.keys()), *(given.keys() - set(found))])
    _check(wanted, taken, left_out, where)
    lists = {"left out": left_out, "not in the file, hence random": sorted(fresh), **_converted(taken)}
    for kind, names in lists.items():
        if names:
            logger.info("%s: %s", where, _listed(kind, names))
    return {name: value.to(wanted[name].dtype) for name, value in taken.items()}


def align(given: Mapping[str, Tensor], wanted: Collection[str], where: str) -> dict[str, Tensor]:
    """Return the tensors of a file under the prefix that ``shared_prefix`` finds, without it; arguments as there."""
    prefix = shared_prefix(given, wanted, where)
    return {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}


def shared_prefix(given: Collection[str], wanted: Collection[str], where: str) -> str:
    """Return what stands before most of the wanted names in a file, such as ``module.`` or nothing.

    Args:
        given: Names of the file.
        wanted: Names of the network.
        where: The file, for messages.

    Raises:
        CheckpointError: If these names stand behind several prefixes, as of a teacher and a student.
    """
    names = frozenset(wanted)
    depth = max((name.count(".") + 1 for name in names), default=0)
    counts: Counter[str] = Counter()
    for key in given:
        parts = key.rsplit(".", depth)
        for place in range(max(0, len(parts) - depth), len(parts)):
            if ".".join(parts[place:]) in names:
                counts["".join(f"{part}." for part in parts[:place])] += 1
    most = max(counts.values(), default=0)
    found = sorted(prefix for prefix, count in counts.items() if count == most)
    if len(found) > 1 and most > len(names) / 2:
        raise CheckpointError(f"{where}: holds several such networks, under {found}; keep the names of one of them")
    return min(found, key=len, default="")


def _is_of(parts: Collection[str], name: str, heads: Collection[str]) -> bool:
    """Return whether a name belongs to a part of the network."""
    return name.partition(".")[0] in parts and not any(_within(name, head) for head in heads)


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _check(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], heads: list[str], where: str) -> None:
    """Refuse tensors that do not fit, and say of each kind which."""
    missing = sorted(wanted.keys() - given.keys())
    pairs = [(name, given[name], wanted[name]) for name in sorted(wanted.keys() & given.keys())]
    kinds = [(name, one, own) for name, one, own in pairs if one.is_floating_point() != own.is_floating_point()]
    shapes = [(name, one, own) for name, one, own in pairs if one.shape != own.shape]
    found = {
        "missing": missing,
        "unexpected": sorted(given.keys() - wanted.keys()) + (heads if missing else []),
        "other shape": [f"{name} {tuple(one.shape)} for {tuple(own.shape)}" for name, one, own in shapes],
        "other kind of number": [f"{name} {_kind(one)} for {_kind(own)}" for name, one, own in kinds],
        "not finite": [name for name, one, own in pairs if not bool(torch.isfinite(one.to(own.dtype)).all())],
    }
    if any(found.values()):
        lists = ", ".join(_listed(kind, names) for kind, names in found.items() if names)
        raise CheckpointError(f"{where}: does not fit the network; {lists}; give a file of its weights")


def _kind(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _converted(given: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Return what is converted to float32, by precision."""
    kinds = sorted({_kind(value) for value in given.values() if value.is_floating_point()} - {"float32"})
    return {
        f"{kind}, taken as float32,": [name for name, value in given.items() if _kind(value) == kind] for kind in kinds
    }


def _listed(kind: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{kind} {names[:SHOWN]}{more}"
