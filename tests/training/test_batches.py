import torch

from tiny import NoisyLine
from weakseg.crew import Crew
from weakseg.training.batches import Batching, epoch_loader


def indices(count: int, batches: tuple[int, int], seed: int = 0) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed)
    return [found for _, found in epoch_loader(NoisyLine(count), 0, batching=Batching(*batches), generator=generator)]


def test_each_example_once_beside_its_index() -> None:
    data = NoisyLine(7, noise=0.0)
    for workers in (0, 1):
        loader = epoch_loader(data, 0, batching=Batching(4, 2, workers), generator=torch.Generator().manual_seed(0))
        seen = []
        for (points, _), found in loader:
            assert points.equal(data.points[list(found)])
            seen += found
        assert sorted(seen) == list(range(7))


def test_fewer_batches_are_the_first_of_all() -> None:
    every = indices(9, (5, 2))
    assert [len(found) for found in every] == [2, 2, 2, 2, 1]
    assert indices(9, (3, 2)) == every[:3]
    assert indices(9, (4, 2)) == every[:4]
    assert indices(9, (5, 2), seed=1) != every


def test_examples_are_joined_by_the_given_function() -> None:
    generator = torch.Generator().manual_seed(0)
    batching = Batching(1, 3, collate=lambda examples: [torch.cat(examples[0])])
    loader = epoch_loader(NoisyLine(3), 0, batching=batching, generator=generator)
    (((joined,), found),) = list(loader)
    assert joined.shape == (5,) and len(found) == 3


def test_processes_have_parts_of_the_same_batches() -> None:
    whole = indices(9, (3, 4))
    parts = []
    for rank in range(3):
        batching, generator = Batching(3, 4, crew=Crew(rank, 3)), torch.Generator().manual_seed(0)
        loader = epoch_loader(NoisyLine(9), 0, batching=batching, generator=generator)
        assert len(loader) == 3
        parts.append([found for _, found in loader])
    assert [len(part) for part in parts[0]] == [2, 2, 1] and [len(part) for part in parts[2]] == [1, 1, 1]
    assert [sum(batch, ()) for batch in zip(*parts, strict=True)][:2] == whole[:2]
    assert [part[2] for part in parts] == [whole[2]] * 3  # a batch of one: the others have it, too, for nothing
