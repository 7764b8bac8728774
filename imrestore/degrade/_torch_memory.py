"""Scratch memory from torch's allocator while a tensor on a GPU is worked on: two pools on one device starve each other."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

from imrestore import _dispatch


def own_memory(kind: str, device: str) -> contextlib.AbstractContextManager[Any]:
    """While it is open, what this thread allocates for CUDA comes from where arrays of the library ``kind`` do."""
    if kind != _dispatch.TORCH or device == "cpu":
        return contextlib.nullcontext()
    allocated: contextlib.AbstractContextManager[Any] = __import__("cupy").cuda.using_allocator(_allocator().malloc)
    return allocated


@cache
def _allocator() -> Any:
    """One for the life of the process: memory that it made knows its way back to it."""
    from cupy.cuda import get_current_stream
    from cupy.cuda.memory import PythonFunctionAllocator

    cuda = __import__("torch").cuda

    def allocate(size: int, device: int) -> int:
        address: int = cuda.caching_allocator_alloc(size, device, get_current_stream().ptr)
        return address

    def release(address: int, _device: int) -> None:
        cuda.caching_allocator_delete(address)

    return PythonFunctionAllocator(allocate, release)
