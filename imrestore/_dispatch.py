"""Which backend an image belongs to, its axes in kernel order, and the way back to what the caller passed.

No array library but NumPy is imported to find out: a CuPy array can only exist where CuPy is loaded already.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from imrestore import _checks

NUMPY, CUPY, TORCH, DASK = "numpy", "cupy", "torch", "dask"

#: Those that NumPy has too: torch adds bfloat16, 8-bit floats, quantised and sub-byte integers.
_TORCH_DTYPES = frozenset(
    f"torch.{name}"
    for name in (
        *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
        *("float16", "float32", "float64"),
    )
)

_T = TypeVar("_T")
#: Calls remembered per filter; a program that varies its parameters endlessly must not grow.
_MAX_REPLAYS = 256


def library(value: object) -> str:
    """Library whose array ``value`` is; array-likes count as NumPy's."""
    for cls in type(value).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in (CUPY, TORCH, DASK):
            return root
    return NUMPY


def device_of(value: Any, kind: str) -> str:
    """Where an array of this library is: 'cpu', or 'cuda:' and a number."""
    if kind == CUPY:
        return f"cuda:{value.device.id}"
    if kind == TORCH and value.device.type != "cpu":
        return str(value.device)
    return "cpu"


def _describe(value: Any, kind: str) -> str:
    return f"{type(value).__module__.partition('.')[0]}.{type(value).__name__} on {device_of(value, kind)}"


class Opened(NamedTuple):
    """An image ready to be filtered: ``src`` in kernel order, and what is needed to hand the result back."""

    given: Any
    out: Any
    kind: str
    device: str
    array: Any  # the image as an array of xp, in its own shape
    dtype: np.dtype[Any]
    axes: tuple[int, ...]
    where: Any  # uint8 in the image's shape, or None
    pad_counts: bool
    channel: int | None  # axis of channels that are filtered jointly
    joint: bool
    guide: Any = None  # a second image in kernel order, its channels last

    @property
    def on_cuda(self) -> bool:
        return self.device != "cpu"

    @property
    def masked(self) -> bool:
        return self.where is not None

    @property
    def order(self) -> KernelOrder:
        if self.joint:
            return KernelOrder.of_channels(self.array.shape, self.axes, self.channel)
        return KernelOrder.of(self.array.shape, self.axes)

    def in_order(self, values: Sequence[_T]) -> tuple[_T, ...]:
        """Values given one per filtered axis, in ascending order of those axes."""
        return tuple(value for _, value in sorted(zip(self.axes, values, strict=True), key=lambda pair: pair[0]))

    def pictures(self) -> Iterator[tuple[Any, Any]]:
        """Every image of the batch with its channels last, and its samples that take part (bool), or None for all."""
        with on_device(self.given, self.kind, self.device):
            xp, order = namespace(self.on_cuda), self.order
            images = order.arrange(xp, self.array, self.dtype)
            masks = None if self.where is None else order.arrange(xp, self.where, np.dtype(np.uint8)).view(bool)
            for i in range(len(images)):
                yield images[i], None if masks is None else masks[i]

    def run(self, kernel: Callable[..., None], *parameters: Any) -> Any:
        """Call ``kernel(src, dst, *parameters, where, pad_counts)`` and return the result as the caller's own kind."""
        with on_device(self.given, self.kind, self.device):
            return self._run(kernel, parameters)

    def _run(self, kernel: Callable[..., None], parameters: tuple[Any, ...]) -> Any:
        xp = namespace(self.on_cuda)
        order = self.order
        src = order.arrange(xp, self.array, self.dtype)
        result, target = self._target()
        direct = target.flags.c_contiguous and target.dtype == self.dtype and order.identity and is_aligned(target)
        direct = direct and not (self.out is not None and self._overlaps(xp, target))
        dst = target.reshape(order.shape) if direct else xp.empty(order.shape, self.dtype)
        where = None if self.where is None else order.arrange(xp, self.where, np.dtype(np.uint8))
        if self.dtype.kind == "b":
            kernel(src.view(np.uint8), dst.view(np.uint8), *parameters, where, self.pad_counts)
        else:
            kernel(src, dst, *parameters, where, self.pad_counts)
        if not direct:
            target[...] = order.restore(dst)
        return result

    def another(self) -> Any:
        """Memory for a second result, in kernel order."""
        with on_device(self.given, self.kind, self.device):
            return namespace(self.on_cuda).empty(self.order.shape, self.dtype)

    def hand_back(self, result: Any) -> Any:
        """An array in kernel order as the caller's own kind."""
        with on_device(self.given, self.kind, self.device):
            made, target = new_array(self.given, self.kind, self.device, self.array.shape, self.array.dtype)
            target[...] = self.order.restore(result)
            return made

    def _overlaps(self, xp: Any, target: Any) -> bool:
        return bool(
            xp.may_share_memory(target, self.array)
            or (self.where is not None and xp.may_share_memory(target, self.where))
            or (self.guide is not None and xp.may_share_memory(target, self.guide))
        )

    def _target(self) -> tuple[Any, Any]:
        """What is returned, and the array the result is written to (the same memory)."""
        if self.out is not None:
            return self.out, as_array(self.out, self.kind, self.device, "out")
        return new_array(self.given, self.kind, self.device, self.array.shape, self.array.dtype)


class KernelOrder(NamedTuple):
    """The permutation and shape that turn an image into (outer, s_1 .. s_n, inner)."""

    permutation: tuple[int, ...]
    permuted: tuple[int, ...]
    shape: tuple[int, ...]
    identity: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: tuple[int, ...]) -> KernelOrder:
        chosen = sorted(axes)
        first, last = chosen[0], chosen[-1]
        if last - first + 1 == len(chosen):  # filtered axes side by side: no data moves
            permutation = tuple(range(len(shape)))
            outer, inner = shape[:first], shape[last + 1 :]
        else:
            batch = [a for a in range(len(shape)) if a not in chosen]
            permutation = (*batch, *chosen)
            outer, inner = tuple(shape[a] for a in batch), ()
        return cls._made(shape, permutation, outer, tuple(shape[a] for a in chosen), inner)

    @classmethod
    def of_channels(cls, shape: tuple[int, ...], axes: tuple[int, ...], channel: int | None) -> KernelOrder:
        """With the channels, which are filtered jointly, as the last axis and all that is a batch in the first."""
        chosen = sorted(axes)
        last = () if channel is None else (channel,)
        batch = tuple(a for a in range(len(shape)) if a not in chosen and a != channel)
        outer, spatial, inner = (tuple(shape[a] for a in group) for group in (batch, chosen, last))
        return cls._made(shape, (*batch, *chosen, *last), outer, spatial, inner)

    @classmethod
    def _made(
        cls,
        shape: tuple[int, ...],
        permutation: tuple[int, ...],
        outer: tuple[int, ...],
        spatial: tuple[int, ...],
        inner: tuple[int, ...],
    ) -> KernelOrder:
        permuted = tuple(shape[a] for a in permutation)
        ordered = (int(np.prod(outer, dtype=np.int64)), *spatial, int(np.prod(inner, dtype=np.int64)))
        return cls(permutation, permuted, ordered, permutation == tuple(range(len(shape))))

    def arrange(self, xp: Any, array: Any, dtype: np.dtype[Any]) -> Any:
        """``array`` in kernel order: C-contiguous, aligned, native; a view where that is possible."""
        moved = xp.ascontiguousarray(array.transpose(self.permutation), dtype=dtype)
        if not is_aligned(moved):
            moved = moved.copy()
        return moved.reshape(self.shape)

    def restore(self, array: Any) -> Any:
        """The way back from kernel order to the image's own axes."""
        return array.reshape(self.permuted).transpose(np.argsort(self.permutation).tolist())


def is_aligned(array: Any) -> bool:
    """Whether every sample lies at a multiple of its size; CuPy's always do."""
    return bool(getattr(array.flags, "aligned", True))


def namespace(on_cuda: bool) -> Any:
    """CuPy or NumPy."""
    return __import__("cupy") if on_cuda else np


def on_device(given: Any, kind: str, device: str) -> contextlib.AbstractContextManager[Any]:
    """Make the image's device current, and for a tensor torch's current stream as well."""
    if device == "cpu":
        return contextlib.nullcontext()
    cupy = __import__("cupy")
    stack = contextlib.ExitStack()
    if kind == CUPY:
        stack.enter_context(given.device)
    else:
        torch = __import__("torch")
        stack.enter_context(cupy.cuda.Device(given.device.index))
        stream = torch.cuda.current_stream(given.device).cuda_stream
        stack.enter_context(cupy.cuda.ExternalStream(stream, given.device.index))
    return stack


def as_array(value: Any, kind: str, device: str, name: str) -> Any:
    """An array of NumPy's or CuPy's over ``value``'s own memory."""
    if kind == TORCH:
        if value.requires_grad:
            raise ValueError(f"{name} requires grad and the filters are not differentiable; pass {name}.detach()")
        if value.layout != __import__("torch").strided:
            raise TypeError(f"{name} is a tensor with layout {value.layout}; it must be dense, use {name}.to_dense()")
        if str(value.dtype) not in _TORCH_DTYPES:
            raise TypeError(f"{name} has dtype {value.dtype}; convert it first, for example with {name}.float()")
        if device == "cpu":
            try:
                return value.detach().resolve_neg().numpy()
            except RuntimeError as error:  # inside of vmap, grad and their like tensors stand for others
                raise TypeError(f"{name} is a tensor without memory; call this outside of torch.func ({error})") from None
        if not device.startswith("cuda"):
            raise TypeError(f"{name} is on device {device}; it must be on the CPU or on a CUDA device")
        return __import__("cupy").from_dlpack(value.detach())
    if kind == CUPY:
        return value
    if _checks.is_masked_array(value):
        raise TypeError(f"{name} is a numpy.ma.MaskedArray; pass {name}.data and where=~numpy.ma.getmaskarray({name})")
    if isinstance(value, np.matrix):
        raise TypeError(f"{name} is a numpy.matrix; pass numpy.asarray({name})")
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    return _from_array_like(value, name)


def new_array(given: Any, kind: str, device: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """New memory of ``given``'s kind and device: what is returned, and the array over it."""
    if kind == TORCH:
        torch = __import__("torch")
        tensor = torch.empty(tuple(shape), dtype=getattr(torch, dtype.name), device=given.device)
        return tensor, as_array(tensor, kind, device, "out")
    target = namespace(device != "cpu").empty(shape, dtype)
    if kind == NUMPY and isinstance(given, np.ndarray) and type(given) is not np.ndarray:
        return given.__array_wrap__(target), target
    return target, target


def _from_array_like(value: Any, name: str) -> Any:
    allowed = "a numpy, cupy, torch or dask array, or nested lists of numbers"
    if value is None or isinstance(value, str | bytes | bytearray | dict | set | frozenset):
        raise TypeError(f"{name} is of type {type(value).__name__}; it must be {allowed}")
    if hasattr(value, "__cuda_array_interface__"):
        raise TypeError(f"{name} is of type {type(value).__name__} on a CUDA device; pass cupy.asarray({name})")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise TypeError(f"{name} is of type {type(value).__name__}; it must be {allowed} ({error})") from None
    if array.dtype == object:
        raise TypeError(f"{name} is of type {type(value).__name__} and no array of numbers; it must be {allowed}")
    return array


def open_image(
    image: Any,
    *,
    axes: object,
    channel_axis: object,
    out: Any,
    where: Any,
    nan_policy: object,
    cval: object,
    kinds: str,
    joint: bool = False,
    most_axes: int = 4,
) -> Opened:
    """Check everything about the image that does not depend on the filter.

    A ``joint`` filter looks at all channels of a pixel together; the others take channels one by one, like a batch. No more
    than ``most_axes`` may be filtered.
    """
    kind = library(image)
    device = device_of(image, kind)
    array = as_array(image, kind, device, "image")
    dtype = _checks.image_dtype(np.dtype(array.dtype), kinds)
    _checks.image_shape(tuple(array.shape))
    chosen = _checks.filtered_axes(axes, channel_axis, array.ndim, most_axes)
    policy = _checks.nan_policy(nan_policy)
    for name, other in (("out", out), ("where", where)):
        check_same_kind(name, other, image, kind, device)
    if out is not None:
        check_out(out, image, array, kind, device)
    with on_device(image, kind, device):
        mask = _mask(where, array, kind, device, policy)
    pad_counts = not (policy == "omit" and isinstance(cval, float | np.floating) and cval != cval)
    channel = _checks.axis_of_channels(channel_axis, array.ndim) if joint else None
    return Opened(image, out, kind, device, array, dtype, chosen, mask, pad_counts, channel, joint)


def check_same_kind(name: str, other: Any, image: Any, kind: str, device: str) -> None:
    """``other``, if there is one, is of the image's library and on its device."""
    if other is None:
        return
    other_kind = library(other)
    if other_kind != kind or device_of(other, other_kind) != device:
        raise TypeError(
            f"{name} is a {_describe(other, other_kind)} and image a {_describe(image, kind)}; "
            "both must be of one kind and on one device"
        )


def check_out(out: Any, image: Any, array: Any, kind: str, device: str, dtype: np.dtype[Any] | None = None) -> None:
    """``out`` can take a result of the image's shape, in the image's dtype or in ``dtype``."""
    dtype = array.dtype if dtype is None else dtype
    if kind == NUMPY and not isinstance(out, np.ndarray):
        raise TypeError(f"out is of type {type(out).__name__}; it must be an array like image")
    target = as_array(out, kind, device, "out")
    if tuple(target.shape) != tuple(array.shape):
        raise ValueError(f"out has the shape {tuple(target.shape)}; it must have image's, {tuple(array.shape)}")
    if target.dtype != dtype:
        whose = "have image's," if dtype == array.dtype else "be"
        raise TypeError(f"out has dtype {target.dtype}; it must {whose} {dtype}")
    if not getattr(target.flags, "writeable", True):
        raise ValueError("out is read-only; it must be writeable")
    if _overlaps_itself(target):
        raise ValueError(f"out has strides {target.strides}, so that its pixels share memory; it must have its own for each")


def _overlaps_itself(array: Any) -> bool:
    """True unless every axis steps over all that the axes with shorter strides reach."""
    reach = array.itemsize
    for stride, n in sorted((abs(stride), n) for stride, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if stride < reach:
            return True
        reach += stride * (n - 1)
    return False


def _mask(where: Any, array: Any, kind: str, device: str, policy: str) -> Any:
    """Pixels that take part, as uint8 in the image's shape, or None for all."""
    xp = namespace(device != "cpu")
    mask = None
    if where is not None:
        mask = broadcast_where(where, array, kind, device)
    if array.dtype.kind == "f" and policy != "propagate":
        nan = xp.isnan(array)
        if policy == "omit":
            mask = ~nan if mask is None else mask & ~nan
        else:
            _checks.no_nan("image", bool((nan if mask is None else nan & mask).any()))
    return None if mask is None else mask.astype(np.uint8)


def broadcast_where(where: Any, array: Any, kind: str, device: str) -> Any:
    """The mask as a bool view in the image's shape."""
    mask = as_array(where, kind, device, "where")
    if mask.dtype != bool:
        raise TypeError(f"where has dtype {mask.dtype}; it must be bool: True takes part")
    try:
        return namespace(device != "cpu").broadcast_to(mask, array.shape)
    except ValueError:
        raise ValueError(f"where has the shape {tuple(mask.shape)}; it must broadcast to image's, {tuple(array.shape)}") from None


def find(replays: dict[Any, Callable[[Any], Any]], key: tuple[Any, ...]) -> Callable[[Any], Any] | None:
    """The remembered call for ``key``, if there is one."""
    try:
        return replays.get(key)
    except TypeError:  # an argument that cannot be hashed cannot be right either; the checks will say so
        return None


def remember(
    replays: dict[Any, Callable[[Any], Any]],
    key: tuple[Any, ...],
    opened: Opened,
    plan: Callable[[tuple[int, ...]], Any],
) -> None:
    """Keep a call on a plain 2-D image so that the next one like it costs next to nothing.

    A 64x64 filter takes two microseconds; with all checks a call takes forty. What was checked for one image holds
    for every image of the same shape, strides and dtype, so the second call goes straight from the key to the kernel.
    """
    array = opened.array
    if array.ndim != 2 or opened.masked or not array.flags.c_contiguous or array.dtype != array.dtype.newbyteorder("="):
        return
    if array.dtype == bool:  # kernels see booleans as bytes
        return
    if key[-1] == "raise" and array.dtype.kind == "f":  # the image has to be looked at every time
        return
    if (planned := plan((1, *array.shape, 1))) is None:
        return
    if len(replays) >= _MAX_REPLAYS:
        replays.clear()
    replays[key] = planned.replay(array.shape, array.dtype)
