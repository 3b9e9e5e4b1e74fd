"""A GPU in name: tensors that say ``cuda:0``, under the rules of a real one, computed by the processor.

Branches for GPUs run with true values where there is none. What a real one refuses is refused: tensors of two devices
in one operation, NumPy's view of a tensor that is not fetched, a generator of another device. Whatever makes the
processor wait for the device is noted: fetched values, results whose size depends on values, uploads.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import accelerate
import torch
from accelerate import PartialState
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from weakseg.ops import position_kernel, stencil

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
SIZES_BY_VALUE = {  # operations that count on the device before they know how large the result is
    "nonzero",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "masked_select",
    "equal",
    "linalg_eigh",
    "_linalg_eigh",
}
BY_MASK = {"index", "index_put", "index_put_", "_index_put_impl_"}  # waits where an index is a mask
MIXED = {"copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_"}  # may take tensors of both
ZERO_DIM = {"where", "masked_fill", "masked_fill_", "fill_", "index_put", "index_put_", "lerp"}


class Event(NamedTuple):
    """What made the processor wait: ``fetch``, ``size`` or ``upload``; by which operation; in which line."""

    kind: str
    operation: str
    line: str


class Named(Tensor):
    """A tensor that says it is on a GPU."""

    held: Tensor
    seen: "list[Event]" = []  # noqa: RUF012  # of the whole program: there is one such device

    @staticmethod
    def __new__(cls, held: Tensor) -> "Named":
        strides = held.stride() if held.layout == torch.strided else None
        made: Named = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.shape, strides=strides, dtype=held.dtype, device="meta"
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        return False

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        return f"Named({self.held!r})"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, kwargs = func.overloadpacket.__name__, dict(kwargs or {})
        _check_devices(func, name, args, kwargs)
        if name == "_to_copy" and kwargs.get("device") == CPU:
            _note("fetch", name)
            return args[0].held.to(dtype=kwargs.get("dtype") or args[0].dtype, copy=True)
        _note_waits(name, args, kwargs)
        if kwargs.get("device") is not None:
            kwargs["device"] = CPU
        own = {}
        if func._schema.is_mutable:
            own = {id(leaf.held): leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Named)}
        found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if name == "_local_scalar_dense":
            return found
        base = next((leaf for leaf in args if isinstance(leaf, Named)), None)
        is_view = any(result.alias_info is not None for result in func._schema.returns)
        with torch.inference_mode(torch.is_inference_mode_enabled() and not (is_view and _is_plain(base))):
            return tree_map(
                lambda x: own.get(id(x), x) if id(x) in own or not isinstance(x, Tensor) else Named(x), found
            )


def _is_plain(value: Tensor | None) -> bool:
    """Return whether a tensor was made outside of inference; so are its views then."""
    return value is not None and not value.is_inference()


def _shown(value: Any, own: Mapping[int, Named]) -> Any:
    """Return a result as it is seen: a tensor that was written into is the one that was given."""
    if not isinstance(value, Tensor):
        return value
    return own[id(value)] if id(value) in own else Named(value)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, Named) else value


def _check_devices(func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    leaves = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
    others = [leaf for leaf in leaves if not isinstance(leaf, Named)]
    if not others or (name in MIXED and isinstance(leaves[0], Named)):
        if others and name in BY_MASK:
            _note("upload", name)
        return
    if all(not other.ndim for other in others) and (torch.Tag.pointwise in func.tags or name in ZERO_DIM):
        return
    raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda:0 and cpu, in {func}")


def _note_waits(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    if name == "_local_scalar_dense":
        _note("fetch", "item")
    if name in SIZES_BY_VALUE:
        _note("size", name)
    if name == "repeat_interleave" and kwargs.get("output_size") is None:
        _note("size", name)
    if name in BY_MASK and any(isinstance(x, Tensor) and x.dtype in (torch.bool, torch.uint8) for x in args[1]):
        _note("size", f"{name} by a mask")
    if name == "copy_" and not isinstance(args[1], Named) and args[1].ndim:
        _note("upload", name)


def _note(kind: str, operation: str) -> None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and "/weakseg/" not in frame.f_code.co_filename:
        frame = frame.f_back
    line = "outside" if frame is None else f"{frame.f_code.co_filename.rpartition('/weakseg/')[2]}:{frame.f_lineno}"
    Named.seen.append(Event(kind, operation, line))


class _Upload(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return Named(value.detach().clone())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _held(grad)  # type: ignore[no-any-return]


class _Fetch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Named) -> Tensor:
        return value.held.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return Named(grad)


class NamedGenerator(torch.Generator):
    """A generator that says it is on a GPU, or one of the processor."""

    def __new__(cls, device: str | torch.device = "cpu") -> "NamedGenerator":
        made: NamedGenerator = super().__new__(cls)  # type: ignore[call-arg]
        made.named = torch.device(device)
        return made

    def __init__(self, device: str | torch.device = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA if self.named.type == "cuda" else CPU


class _NamedAccelerator(accelerate.Accelerator):
    """Accelerate's own, on the GPU in name unless the processor is asked for."""

    def __init__(self, *, cpu: bool = False, **options: Any) -> None:
        super().__init__(cpu=True, **options)
        if not cpu:
            self.state.device = PartialState._shared_state["device"] = CUDA


class _Calls(TorchFunctionMode):
    """Takes calls that name the device, or that look into a tensor."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _TAKEN:
            return _TAKEN[func](func, args, kwargs)
        if _is_cuda(kwargs.get("device")):
            return _made_there(func, args, kwargs)
        _check_generator(func, args, kwargs, CPU)
        return func(*args, **kwargs)


class _Factories(TorchDispatchMode):
    """Makes what operations make of their own beside a tensor that they take for one without data."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if any(isinstance(leaf, Named) for leaf in tree_flatten((args, kwargs))[0]):
            return Named.__torch_dispatch__(func, types, args, kwargs)
        if kwargs.get("device") == torch.device("meta"):
            return Named(func(*args, **{**kwargs, "device": CPU}))
        return func(*args, **kwargs)


def _is_cuda(device: object) -> bool:
    return device is not None and torch.device(device).type in ("cuda", "meta")  # type: ignore[arg-type]


def _check_generator(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], default: torch.device) -> None:
    if (generator := kwargs.get("generator")) is None:
        return
    wanted = CUDA if args and isinstance(args[0], Named) else default
    if generator.device.type != wanted.type:
        raise RuntimeError(f"Expected a {wanted.type!r} device type for generator but found {generator.device.type!r}")


def _made_there(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """Return what a factory makes on the device."""
    _check_generator(func, args, kwargs, CUDA)
    if func in (torch.tensor, torch.as_tensor):
        if isinstance(args[0], Named):
            return args[0] if kwargs.get("dtype") is None else args[0].to(kwargs["dtype"])
        _note("upload", func.__name__)
    if args and isinstance(args[0], Named):  # made like one that is there
        return func(*args, **{name: value for name, value in kwargs.items() if name != "device"})  # type: ignore[no-any-return]
    return Named(func(*args, **{**kwargs, "device": CPU}))


def _moved(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """``Tensor.to``."""
    value, *rest = args
    target, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    for part in rest:
        if isinstance(part, Tensor):
            target, dtype = part.device, part.dtype
        elif isinstance(part, torch.dtype):
            dtype = part
        elif isinstance(part, str | torch.device):
            target = part
    if dtype is not None:
        value = func(value, dtype)
    if target is None or _is_cuda(target) == isinstance(value, Named):
        return value  # type: ignore[no-any-return]
    if _is_cuda(target):
        _note("upload", "to")
        return _Upload.apply(value) if value.requires_grad else Named(value.clone())  # type: ignore[no-any-return]
    _note("fetch", "to")
    return _Fetch.apply(value) if value.requires_grad else value.held.clone()  # type: ignore[no-any-return]


def _refused(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    if isinstance(args[0], Named):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it first")
    return func(*args, **kwargs)


def _listed(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    if isinstance(args[0], Named):
        _note("fetch", "tolist")
    return func(_held(args[0]))


def _backward(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    slope = kwargs.get("gradient")
    slopes = (torch.ones_like(args[0]) if slope is None else slope,)
    with _Calls():  # within a call that is taken there is none
        torch.autograd.graph._engine_run_backward(
            (args[0],), slopes, False, False, (), allow_unreachable=True, accumulate_grad=True
        )


def _indexed(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """``x[i]`` and ``x[i] = y``: lists become tensors, numbers that are set become tensors, too."""
    value, index, *rest = args
    if not isinstance(value, Named):
        if isinstance(index, Named) or (isinstance(index, tuple) and any(isinstance(i, Named) for i in index)):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        return func(*args, **kwargs)
    parts = tuple(_uploaded(part) for part in index) if isinstance(index, tuple) else _uploaded(index)
    return func(value, parts, *(x if isinstance(x, Tensor) else torch.tensor(x, dtype=value.dtype) for x in rest))


def _uploaded(part: Any) -> Any:
    if not isinstance(part, list):
        return part
    _note("upload", "index by a list")
    return Named(torch.tensor(part, dtype=None if part and isinstance(part[0], bool) else torch.long))


def _new_tensor(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    if not isinstance(args[0], Named):
        return func(*args, **kwargs)  # type: ignore[no-any-return]
    _note("upload", "new_tensor")
    return Named(torch.tensor(args[1], dtype=kwargs.get("dtype") or args[0].dtype))


def _compressed(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """``torch.sparse_csr_tensor``."""
    parts = args[:3]
    if not any(isinstance(part, Named) for part in parts):
        return func(*args, **kwargs)  # type: ignore[no-any-return]
    if not all(isinstance(part, Named) for part in parts):
        raise RuntimeError("device of crow_indices, col_indices and values must match")
    return Named(func(*(part.held for part in parts), *args[3:], **kwargs))


_TAKEN: dict[Any, Callable[[Any, Sequence[Any], dict[str, Any]], Any]] = {
    Tensor.to: _moved,
    Tensor.cpu: lambda func, args, kwargs: _moved(Tensor.to, (args[0], CPU), {}),
    Tensor.cuda: lambda func, args, kwargs: _moved(Tensor.to, (args[0], CUDA), {}),
    Tensor.numpy: _refused,
    Tensor.__array__: _refused,
    Tensor.tolist: _listed,
    Tensor.backward: _backward,
    Tensor.__getitem__: _indexed,
    Tensor.__setitem__: _indexed,
    Tensor.new_tensor: _new_tensor,
    torch.sparse_csr_tensor: _compressed,
}


def _submitted(pool: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """``ThreadPoolExecutor.submit``: threads see the GPU, too."""

    def there() -> Any:
        with _Factories(), _Calls():
            return work(*args, **kwargs)

    return _SUBMIT(pool, there)


_SUBMIT = ThreadPoolExecutor.submit


@contextmanager
def named_gpu() -> Iterator[list[Event]]:
    """Let ``cuda`` be a GPU in name within the block; gives what made the processor wait so far."""
    before, Named.seen = (torch.Generator, accelerate.Accelerator), []
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    _forget()
    torch.Generator, accelerate.Accelerator = NamedGenerator, _NamedAccelerator  # type: ignore[misc]
    ThreadPoolExecutor.submit = _submitted  # type: ignore[method-assign]
    torch.__future__.set_swap_module_params_on_conversion(True)  # a moved parameter stays the one that is trained
    try:
        with _Factories(), _Calls():
            yield Named.seen
    finally:
        torch.Generator, accelerate.Accelerator = before  # type: ignore[misc]
        ThreadPoolExecutor.submit = _SUBMIT  # type: ignore[method-assign]
        torch.__future__.set_swap_module_params_on_conversion(swaps)
        _forget()


def _forget() -> None:
    """Empty what is kept by the name of the device."""
    stencil.stencil_pattern.cache_clear()
    position_kernel._band.cache_clear()
