"""Row kernels that are LLVM text from end to end.

Numba's front end takes seconds for the driver of a kernel, again for every dtype; text takes some tens of milliseconds. What
such a kernel reads are the slots that `_crew` fills.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any

from imrestore_kernels.cpu import _crew
from imrestore_kernels.cpu._jit import machine_code
from imrestore_kernels.cpu._vector_text import Number, VectorText

#: Functions that take memory and give it back: Python's own work without the interpreter lock, on every system.
ALLOCATE, RELEASE = (
    ctypes.cast(function, ctypes.c_void_p).value or 0
    for function in (ctypes.pythonapi.PyMem_RawMalloc, ctypes.pythonapi.PyMem_RawFree)
)
LINE = 64  # bytes that memory is aligned to


class TextKernel:
    """``kernel(*args, row_start, row_stop)`` in the text's function ``rows``, which is called without the interpreter lock.

    Parameters
    ----------
    name : str
        Says everything that goes into the text: it is the key of the cache.
    build : callable
        Makes the text, with `begin_rows` and `end_rows`.
    arguments : sequence of int
        Axes of each argument, an array.
    """

    def __init__(self, name: str, build: Callable[[], str], arguments: Sequence[int]) -> None:
        (address,) = machine_code(name, build, "rows")
        layout = struct.Struct("=" + "q" * sum(_crew.array_slots(axes) for axes in arguments))
        self.native = _crew.NativeKernel(0, address, layout)
        number, pointer = ctypes.c_int64, ctypes.c_void_p
        self._call = ctypes.CFUNCTYPE(ctypes.c_int32, pointer, pointer, number, number)(address)

    def __call__(self, *args: Any) -> None:
        *given, start, stop = args
        slots = ctypes.create_string_buffer(self.native.layout.size)
        self.native.pack(tuple(given), slots, 0)
        if self._call(None, slots, start, stop):
            raise MemoryError("no memory for the rows that are being filtered")


def begin_rows(text: VectorText, arguments: Sequence[int]) -> list[str]:
    """The function ``rows``, with rows ``%start`` to ``%stop``: addresses of its arguments, arrays of so many axes."""
    text.add("define i32 @rows(ptr %unused, ptr %slots, i64 %start, i64 %stop) nounwind {")
    text.label("entry")
    pointers, slot = [], 0
    for axes in arguments:
        pointers.append(text.value(f"load ptr, ptr {text.at('%slots', 8 * (slot + _crew.BEFORE_ADDRESS))}"))
        slot += _crew.array_slots(axes)
    return pointers


def whole_numbers(text: VectorText, pointer: str, count: int) -> list[Number]:
    """The first numbers of an array of 64 bits each."""
    return [text.number(f"load i64, ptr {text.at(pointer, 8 * i)}") for i in range(count)]


def function_at(text: VectorText, address: Number) -> str:
    return text.value(f"inttoptr i64 {address} to ptr")


def memory_of(text: VectorText, allocate: Number, size: Number | int) -> str:
    """Address of ``size`` bytes, whole cache lines apart from others; without memory ``rows`` returns 1."""
    text.add(f"  %given = call ptr {function_at(text, allocate)}(i64 {Number(text, str(size)) + LINE})")
    text.add("  %none = icmp eq ptr %given, null\n  br i1 %none, label %failed, label %work")
    text.label("work")
    return text.where("%given", -text.number("ptrtoint ptr %given to i64") % LINE)


def end_rows(text: VectorText, release: Number) -> None:
    text.add(f"  call void {function_at(text, release)}(ptr %given)\n  ret i32 0\nfailed:\n  ret i32 1\n}}")
