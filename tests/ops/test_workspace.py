import torch

from weakseg.ops.workspace import Workspace


def test_the_same_request_gives_the_same_memory() -> None:
    space, like = Workspace(), torch.zeros(1)
    first = space.take("vertices", like, 3, 2)
    assert (first.shape, first.dtype) == ((3, 2), torch.float32)
    assert space.take("vertices", like, 3, 2) is first
    others = [
        space.take("points", like, 3, 2),
        space.take("vertices", like, 2, 3),
        space.take("vertices", like.double(), 3, 2),
        Workspace().take("vertices", like, 3, 2),
    ]
    assert len({tensor.data_ptr() for tensor in (first, *others)}) == 5
    assert others[2].dtype == torch.float64
