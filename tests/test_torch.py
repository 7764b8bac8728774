"""CPU tensors: the same memory in, a tensor out, and a clear word where that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels.cpu import _thread_count

import imrestore
from tests.calls import FILTERS, public
from tests.test_layouts import picture

torch = pytest.importorskip("torch")

DTYPES = ("uint8", "int8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64")


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_are_filtered_as_arrays(name: str, dtype: str) -> None:
    function, image = public(name), picture(dtype)
    tensor = torch.from_numpy(image.copy())
    result = function(tensor)
    assert type(result) is torch.Tensor
    assert (result.dtype, result.device, result.shape) == (tensor.dtype, tensor.device, tensor.shape)
    np.testing.assert_array_equal(result.numpy(), function(image))
    np.testing.assert_array_equal(tensor.numpy(), image)


def test_bool_tensors_have_a_median() -> None:
    image = picture("uint8") > 60
    result = imrestore.median(torch.from_numpy(image.copy()), 5)
    assert result.dtype == torch.bool
    np.testing.assert_array_equal(result.numpy(), imrestore.median(image, 5))


@pytest.mark.parametrize("name", FILTERS)
def test_out_is_written_in_place_without_a_copy(name: str) -> None:
    function, image = public(name), picture("float32")
    out = torch.zeros(21, 26)
    memory = out.data_ptr()
    assert function(torch.from_numpy(image), out=out) is out
    assert out.data_ptr() == memory
    np.testing.assert_array_equal(out.numpy(), function(image))


def test_the_kernel_reads_the_memory_of_the_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.zeros(64, 64)
    seen = []
    opened = imrestore._dispatch.open_image

    def spy(*args, **keywords):
        result = opened(*args, **keywords)
        seen.append(result.array.ctypes.data)
        return result

    monkeypatch.setattr(imrestore._dispatch, "open_image", spy)
    for name in FILTERS:
        public(name)(tensor)
    assert seen == [tensor.data_ptr()] * len(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_tensors_of_any_strides(name: str) -> None:
    function, image = public(name), picture("float32", (9, 10, 3))
    pictures = {"axes": (0, 1)} if name == "bm3d" else {}
    tensor = torch.from_numpy(image.copy())
    for view, plain in (
        (tensor.permute(2, 0, 1), image.transpose(2, 0, 1)),
        (tensor[::2, 1:], image[::2, 1:]),
        (tensor[:1].expand(9, 10, 3), np.broadcast_to(image[:1], (9, 10, 3))),
    ):
        np.testing.assert_array_equal(function(view, 2, **pictures).numpy(), function(plain.copy(), 2, **pictures))
    out = torch.zeros(3, 10, 9).permute(2, 1, 0)
    assert function(tensor, out=out, **pictures) is out
    np.testing.assert_array_equal(out.numpy(), function(image, **pictures))


@pytest.mark.parametrize("name", FILTERS)
def test_masks_are_tensors_too(name: str) -> None:
    function, image = public(name), picture("uint8")
    where = image > 50
    result = function(torch.from_numpy(image.copy()), where=torch.from_numpy(where))
    np.testing.assert_array_equal(result.numpy(), function(image, where=where))


@pytest.mark.parametrize("name", FILTERS)
def test_tensors_that_require_grad_are_refused(name: str) -> None:
    function = public(name)
    with pytest.raises(ValueError, match=r"^image .*detach"):
        function(torch.zeros(9, 9, requires_grad=True))
    with pytest.raises(ValueError, match=r"^image .*detach"):
        function(torch.nn.Parameter(torch.zeros(9, 9)))
    with pytest.raises(ValueError, match=r"^out .*detach"):
        function(torch.zeros(9, 9), out=torch.zeros(9, 9, requires_grad=True))
    assert function(torch.zeros(9, 9, requires_grad=True).detach()).requires_grad is False


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(9, 9, dtype=torch.bfloat16),
        lambda: torch.zeros(9, 9, dtype=torch.complex64),
        lambda: torch.zeros(9, 9).to(torch.float8_e4m3fn),
        lambda: torch.eye(9).to_sparse(),
        lambda: torch.zeros(9, 9, device="meta"),
    ],
    ids=["bfloat16", "complex", "float8", "sparse", "meta"],
)
def test_tensors_without_a_numpy_dtype_are_refused(name: str, make) -> None:
    with pytest.raises(TypeError, match=r"^image "):
        public(name)(make())


@pytest.mark.parametrize("name", FILTERS)
def test_empty_tensors_are_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"^image "):
        public(name)(torch.zeros(0, 5))


@pytest.mark.parametrize("name", FILTERS)
def test_mixed_kinds_name_both(name: str) -> None:
    function, image = public(name), picture("float32")
    tensor = torch.from_numpy(image.copy())
    for given, keywords, argument in (
        (image, {"out": torch.zeros(21, 26)}, "out"),
        (tensor, {"out": np.zeros((21, 26), np.float32)}, "out"),
        (image, {"where": torch.ones(21, 26, dtype=torch.bool)}, "where"),
        (tensor, {"where": np.ones((21, 26), bool)}, "where"),
    ):
        with pytest.raises(TypeError, match=rf"^{argument} ") as caught:
            function(given, **keywords)
        assert "numpy" in str(caught.value)
        assert "torch" in str(caught.value)


@pytest.mark.parametrize("name", FILTERS)
def test_out_that_overlaps_its_own_elements_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^out "):
        public(name)(torch.zeros(9, 9), out=torch.zeros(9).expand(9, 9))


@pytest.mark.parametrize("name", FILTERS)
def test_negated_views_are_read_as_they_are_seen(name: str) -> None:
    function, image = public(name), picture("float32")
    tensor = torch._neg_view(torch.from_numpy(image.copy()))
    np.testing.assert_array_equal(function(tensor).numpy(), function(-image))


def test_filters_leave_torch_threads_and_the_pool_alone() -> None:
    threads = torch.get_num_threads()
    imrestore.median(torch.zeros(600, 600), 5)
    assert torch.get_num_threads() == threads
    assert _thread_count.num_threads() == imrestore.get_num_threads()
