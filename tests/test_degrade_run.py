"""Chains on pixels: every kind of array, dtype and order of axes, batches, threads, both rings, gradients."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import batches as cuda_batches

import imrestore
from imrestore import augment, degrade
from imrestore.degrade import _run
from tests.backends import same_bits
from tests.cases import FLOATS, INTEGERS
from tests.cuda_on_cpu.emulator import Emulator, compiler
from tests.damage_steps import NOISE as CHAIN


def batch_of(count: int = 5, channels: int = 3, height: int = 21, width: int = 18, dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(0).random((count, channels, height, width))
    return (values * 255).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


def test_a_sample_is_the_same_alone_and_in_any_batch() -> None:
    images = batch_of()
    together = CHAIN(images, rng=7, index=40)
    assert together.shape == images.shape
    assert len({image.tobytes() for image in together}) == 5
    for k in range(5):
        assert same_bits(CHAIN(images[k], rng=7, index=40 + k, channel_axis=0), together[k])
    some = CHAIN(images[[3, 1]], rng=7, index=[43, 41])
    assert same_bits(some, together[[3, 1]])
    assert not same_bits(CHAIN(images, rng=8, index=40), together)


def test_same_bits_for_any_number_of_threads() -> None:
    images = batch_of(6, height=90, width=120)
    with imrestore.threads(1):
        one = CHAIN(images, rng=7)
        alone = CHAIN(images[0], rng=7, channel_axis=0)
    for threads in (2, 5):
        with imrestore.threads(threads):
            assert same_bits(CHAIN(images, rng=7), one)
            assert same_bits(CHAIN(images[0], rng=7, channel_axis=0), alone)


def test_from_many_threads_at_once() -> None:
    images = batch_of(height=64, width=64)
    wanted = CHAIN(images, rng=7)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(CHAIN(images, rng=7))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(same_bits(one, wanted) for one in found)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_what_goes_in_comes_out(dtype: str) -> None:
    image = batch_of(1, dtype="uint8" if dtype in ("uint8", "int8") else "uint16", channels=1)[0, 0].astype(dtype)
    before = image.copy()
    result = degrade.Clip()(image, rng=1)
    assert (type(result), result.dtype, result.shape) == (np.ndarray, image.dtype, image.shape)
    assert same_bits(image, before), "the input was written to"
    if np.dtype(dtype).kind == "u":
        assert same_bits(result, image)
    noisy = degrade.GaussianNoise(3.0)(image, rng=1, data_range=100)
    difference = noisy.astype(np.float64) - image.astype(np.float64)
    assert 2 < difference.std() < 4


def test_whole_numbers_are_rounded_once_to_even_and_saturated() -> None:
    image = np.array([[0, 1, 2, 254, 255]], np.uint8)
    np.testing.assert_array_equal(degrade.Quantize(103)(image), [[0, 0, 2, 255, 255]])  # steps of 2.5: 2.5 becomes 2
    np.testing.assert_array_equal(degrade.GaussianNoise(1e9)(image, rng=3) % 255, np.zeros((1, 5)))


ORDERS = {
    "grey": ((20, 30), {}),
    "channels last": ((20, 30, 3), {"channel_axis": -1}),
    "channels first": ((3, 20, 30), {"channel_axis": 0}),
    "channels between": ((20, 3, 30), {"channel_axis": 1}),
    "batch of grey": ((4, 20, 30), {"batch_axis": 0}),
    "batch last": ((20, 30, 4), {"batch_axis": 2}),
    "batch, channels last": ((4, 20, 30, 3), {"batch_axis": 0, "channel_axis": 3}),
    "channels, batch": ((3, 4, 20, 30), {"batch_axis": 1, "channel_axis": 0}),
    "four axes": ((4, 3, 20, 30), {}),
}


@pytest.mark.parametrize("layout", ["C", "F", "reversed"])
@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_orders_of_axes(name: str, layout: str, dtype: str) -> None:
    shape, axes = ORDERS[name]
    image = np.random.default_rng(1).integers(0, 255, shape).astype(dtype)
    given = np.asfortranarray(image) if layout == "F" else image[::-1][::-1] if layout == "reversed" else image
    if layout == "reversed":
        given = np.ascontiguousarray(image[..., ::-1])[..., ::-1]
    result = CHAIN(given, rng=2, data_range=255, **axes)
    assert result.shape == shape
    order = _run.Axes.of(len(shape), axes.get("batch_axis"), axes.get("channel_axis"))
    wanted = CHAIN(np.ascontiguousarray(order.samples(image)), rng=2, data_range=255)
    np.testing.assert_array_equal(order.samples(result), wanted)


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ((5,), {}, r"^image has 1 axes, 1 of them beside batch_axis and channel_axis; there must be a height"),
        ((5, 5, 3), {}, r"^image has 3 axes, 3 of them .* name batch_axis or channel_axis"),
        ((5, 5), {"channel_axis": 0}, r"^image has 2 axes, 1 of them"),
        ((5, 5, 3, 3), {"channel_axis": 1}, r"^image has 4 axes, 3 of them"),
        ((5, 5, 3), {"channel_axis": 3}, r"^channel_axis is 3; for an image with 3 axes it must be"),
        ((5, 5, 3, 2), {"channel_axis": 1, "batch_axis": -3}, r"^batch_axis and channel_axis are both 1"),
        ((5, 0), {}, r"^image has the shape \(5, 0\)"),
    ],
)
def test_axes_that_cannot_be_meant(shape: tuple[int, ...], axes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CHAIN(np.zeros(shape, np.float32), rng=1, **axes)


@pytest.mark.parametrize(
    ("image", "keywords", "error", "message"),
    [
        (np.zeros((5, 5), bool), {}, TypeError, r"^image has dtype bool"),
        (np.zeros((5, 5), complex), {}, TypeError, r"^image has dtype complex"),
        (np.ma.zeros((5, 5)), {}, TypeError, r"^image is a numpy.ma.MaskedArray"),
        ("picture", {}, TypeError, r"^image is of type str"),
        (None, {}, TypeError, r"^image is of type NoneType"),
        (np.zeros((5, 5)), {"data_range": 0}, ValueError, r"^data_range is 0; it must be"),
        (np.zeros((5, 5)), {"rng": "x"}, TypeError, r"^rng is 'x'"),
        (np.zeros((5, 5)), {"index": -1}, ValueError, r"^index is -1"),
        (np.zeros((5, 5)), {"target": np.zeros((5, 6))}, ValueError, r"^target has 1 samples of 5 x 6 pixels; it must have"),
        (np.zeros((5, 5)), {"mask": torch.zeros((5, 5))}, TypeError, r"^mask is a torch.Tensor on cpu and image a"),
    ],
)
def test_calls_that_cannot_be_meant(image: Any, keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CHAIN(image, **keywords)


def test_a_dask_array_is_refused() -> None:
    dask_array = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="dask array"):
        CHAIN(dask_array.zeros((5, 5)))


def test_nested_lists_and_subclasses() -> None:
    assert degrade.Clip()([[0.5, 2.0]]).tolist() == [[0.5, 1.0]]

    class Picture(np.ndarray):
        pass

    assert type(degrade.Clip()(np.zeros((4, 4)).view(Picture))) is Picture


def test_companions_are_left_alone_by_noise() -> None:
    images = batch_of()
    noisy, target, mask = CHAIN(images, images * 0.5, images[:, 0], rng=1)
    assert same_bits(noisy, CHAIN(images, rng=1))
    assert same_bits(target, images * 0.5)
    assert same_bits(mask, images[:, 0])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_tensors(dtype: str) -> None:
    images = batch_of(dtype=dtype)
    result = CHAIN(torch.from_numpy(images.copy()), rng=1, index=torch.arange(5))
    assert isinstance(result, torch.Tensor)
    assert same_bits(result.numpy(), CHAIN(images, rng=1))


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("order", ["forward", "shuffled"])
def test_both_rings_give_the_same_bits(dtype: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = batch_of(dtype=dtype)
    wanted = CHAIN(images, rng=7, index=3)
    monkeypatch.setattr(_run, "ring", lambda device: cuda_batches)
    emulator = Emulator(order)
    with _launch.use(emulator):
        found = CHAIN(images, rng=7, index=3)
    assert len(emulator.launches) >= 8
    assert same_bits(found, wanted)


GRADIENTS = {
    "same": degrade.Chain([degrade.GaussianNoise(0.1), degrade.ColorNoise(0.1), degrade.RowNoise(0.1)]),
    "adjoint": degrade.Chain([degrade.SpeckleNoise(0.5), degrade.SaltAndPepper(0.3), degrade.SpeckleNoise(0.2)]),
    "gradient": degrade.Chain(
        [degrade.GaussianNoise(0.3), degrade.Clip(0.2, 0.8), degrade.SpeckleNoise(0.2), degrade.Clip(0.4, 0.9)]
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("count", [1, 3])
def test_gradients(name: str, count: int) -> None:
    image = torch.from_numpy(batch_of(count, 2, 5, 4, "float64")).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: GRADIENTS[name](x, rng=3), (image,))


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_both_rings_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.from_numpy(batch_of(3, 2, 9, 7)).requires_grad_()
    chain = degrade.Chain([degrade.Maybe(GRADIENTS[name], 0.7), degrade.Shuffled(GRADIENTS[name].steps)])
    weights = torch.from_numpy(batch_of(3, 2, 9, 7))

    def gradient() -> np.ndarray:
        image.grad = None
        (chain(image, rng=3) * weights).sum().backward()
        assert image.grad is not None
        return image.grad.numpy().copy()

    wanted = gradient()
    monkeypatch.setattr(_run, "ring", lambda device: cuda_batches)
    with _launch.use(Emulator("reverse")):
        assert same_bits(gradient(), wanted)


def test_no_gradient_is_kept_where_none_is_wanted() -> None:
    image = torch.from_numpy(batch_of()).requires_grad_()
    with torch.no_grad():
        assert not CHAIN(image, rng=1).requires_grad
    assert CHAIN(image, rng=1).requires_grad
    assert not CHAIN(image.detach(), rng=1).requires_grad


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own, of how it looks at tensors
@pytest.mark.parametrize("name", GRADIENTS)
def test_inside_a_compiled_function(name: str) -> None:
    """torch traces what is around a chain, and calls it; before, tracing it recursed for ever."""
    image = torch.from_numpy(batch_of(2, 3, 9, 7)).requires_grad_()

    def around(x: torch.Tensor) -> torch.Tensor:
        return GRADIENTS[name](x * 0.5, rng=3) + 1

    torch._dynamo.reset()
    compiled = torch.compile(around, backend="eager")
    found, wanted = compiled(image), around(image)
    assert torch.equal(found, wanted)
    gradients = [torch.autograd.grad(one.sum(), image)[0] for one in (found, wanted)]
    assert torch.equal(*gradients)


@pytest.mark.parametrize("dtype", ["u2", "i2", "u4", "i4", "f2", "f4", "f8"])
def test_bytes_in_the_other_order(dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (13, 20, 3))
    chain = augment.Chain([augment.Flip(p=1), augment.Rotate(20), augment.Brightness(0.7), degrade.GaussianNoise(3)])
    for step in (chain, augment.Transpose(p=1), augment.Flip(p=1), augment.Affine(9), degrade.Clip(5, 500)):
        for layout in ((0, 1, 2), (2, 0, 1)):
            own, other = (values.transpose(layout).astype(order + dtype) for order in "<>")
            for image in (other, np.ascontiguousarray(other), other[:, ::-1]):
                axes = {"channel_axis": layout.index(2)}
                plain = np.ascontiguousarray(image).astype(own.dtype)
                found = step(image, target=image, rng=4, **axes)
                wanted = step(plain, target=plain, rng=4, **axes)
                for a, b in zip(found, wanted, strict=True):
                    assert a.dtype.isnative
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("inside", ["vmap", "grad"])
def test_transforms_of_functions_are_refused(inside: str) -> None:
    image, step = torch.rand(2, 3, 9, 7), GRADIENTS["same"]
    calls = {
        "vmap": lambda: torch.func.vmap(lambda one: step(one[None], rng=1))(image),
        "grad": lambda: torch.func.grad(lambda x: step(x, rng=1).sum())(image),
    }
    with pytest.raises(TypeError, match=r"image is a tensor without memory; call this outside of torch\.func"):
        calls[inside]()
