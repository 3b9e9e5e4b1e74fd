import torch

from tiny import NoisyLine
from weakseg.training.batches import epoch_loader


def indices(count: int, batches: tuple[int, int], seed: int = 0) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed)
    return [found for _, found in epoch_loader(NoisyLine(count), 0, batches=batches, generator=generator)]


def test_each_example_once_beside_its_index() -> None:
    data = NoisyLine(7, noise=0.0)
    for workers in (0, 1):
        loader = epoch_loader(data, 0, batches=(4, 2), generator=torch.Generator().manual_seed(0), workers=workers)
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
    loader = epoch_loader(
        NoisyLine(3), 0, batches=(1, 3), generator=generator, collate=lambda examples: [torch.cat(examples[0])]
    )
    (((joined,), found),) = list(loader)
    assert joined.shape == (5,) and len(found) == 3
