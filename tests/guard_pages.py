"""Arrays that end, or begin, where the process may not look: kernels that read beyond them crash instead of going unnoticed."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest

needed = pytest.mark.skipif(sys.platform == "win32", reason="pages are protected with mprotect")


def fenced(values: np.ndarray, at_end: bool) -> np.ndarray:
    """A copy that goes up to a forbidden page, or begins behind one."""
    page = mmap.PAGESIZE
    whole = -(-max(values.nbytes, 1) // page) * page
    memory = mmap.mmap(-1, whole + 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for place in (address, address + page + whole):
        assert protect(place, page, 0) == 0, ctypes.get_errno()
    offset = page + (whole - values.nbytes if at_end else 0)
    copy = np.frombuffer(memory, values.dtype, values.size, offset)
    copy[:] = values.ravel()
    return copy
