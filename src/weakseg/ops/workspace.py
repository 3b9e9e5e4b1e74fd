"""Memory that loops write into again and again: to get fresh pages takes longer than to fill them."""

from torch import Tensor


class Workspace:
    """Tensors by name and shape, whose values are anybody's until they are taken again."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._kept: dict[tuple[object, ...], Tensor] = {}

    def take(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Return a tensor of a shape, of the type and on the device of another; the same one for the same request."""
        key = (name, shape, like.dtype, like.device)
        if key not in self._kept:
            self._kept[key] = like.new_empty(shape)
        return self._kept[key]
