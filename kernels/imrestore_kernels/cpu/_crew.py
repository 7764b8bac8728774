"""Native side of the thread pool: how several threads take the strips of one job without touching Python.

With Python's own locks a call of 0.3 ms spends 0.1 ms on handing over: the woken thread first sleeps for the interpreter
lock, then again for the next strip. Here the threads count strips with one atomic addition and, after a job, watch for the
next one for a while before they go back to sleep. The few functions are LLVM text, compiled in 20 ms when first used:
Numba has no atomics on the CPU, and its front end would take a second.

A *job* is an array of 64-bit slots (see `Slot`), a *box* one cache line per worker: 0 while the worker is away or at work, 1
while it watches, else the address of the job it is offered. The worker takes an offer, and the caller takes it back, by
compare-and-exchange, so exactly one of them has it.
"""

from __future__ import annotations

import ctypes
import enum
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
from numba import types

from imrestore_kernels.cpu._jit import machine_code


class Slot(enum.IntEnum):
    """Slots of a job. Those that several threads write lie on cache lines of their own."""

    FUNCTION = 0
    TRAMPOLINE = 1
    ROWS = 2
    STRIP = 3
    COUNT = 4
    NEXT = 8
    DONE = 16
    FAILED = 17
    LEFT = 24
    OFFERED = 25
    ARGUMENTS = 32


#: 64-bit slots of a box: one cache line.
BOX = 8

_PAUSE = {"x86_64": "call void @llvm.x86.sse2.pause()", "aarch64": "call void @llvm.aarch64.hint(i32 1)"}
_DECLARE = {"x86_64": "declare void @llvm.x86.sse2.pause()", "aarch64": "declare void @llvm.aarch64.hint(i32)"}

_SOURCE = """
{declare_pause}

; Strips of a job until none is left.
define void @work(ptr %job) {{
  %function.at = getelementptr i64, ptr %job, i64 {function}
  %function = load ptr, ptr %function.at
  %trampoline.at = getelementptr i64, ptr %job, i64 {trampoline}
  %trampoline = load ptr, ptr %trampoline.at
  %rows.at = getelementptr i64, ptr %job, i64 {rows}
  %rows = load i64, ptr %rows.at
  %strip.at = getelementptr i64, ptr %job, i64 {strip}
  %strip = load i64, ptr %strip.at
  %count.at = getelementptr i64, ptr %job, i64 {count}
  %count = load i64, ptr %count.at
  %next.at = getelementptr i64, ptr %job, i64 {next}
  %done.at = getelementptr i64, ptr %job, i64 {done}
  %failed.at = getelementptr i64, ptr %job, i64 {failed}
  %arguments = getelementptr i64, ptr %job, i64 {arguments}
  br label %take
take:
  %index = atomicrmw add ptr %next.at, i64 1 acq_rel
  %mine = icmp slt i64 %index, %count
  br i1 %mine, label %run, label %out
run:
  %start = mul i64 %index, %strip
  %end = add i64 %start, %strip
  %over = icmp sgt i64 %end, %rows
  %stop = select i1 %over, i64 %rows, i64 %end
  %status = call i32 %trampoline(ptr %function, ptr %arguments, i64 %start, i64 %stop)
  %none = icmp eq i32 %status, -2
  %zero = icmp eq i32 %status, 0
  %fine = or i1 %none, %zero
  br i1 %fine, label %finished, label %broken
broken:
  store atomic i64 1, ptr %failed.at release, align 8
  br label %finished
finished:
  %before = atomicrmw add ptr %done.at, i64 1 acq_rel
  br label %take
out:
  ret void
}}

; A worker: the job it was woken for, then what it is offered while it watches. Returns when nothing comes for `spins`
; pauses, or at once when somebody waits in the queue.
define void @serve(ptr %first, ptr %box, i64 %spins, ptr %waiting) {{
  call void @work(ptr %first)
  br label %watch
watch:
  store atomic i64 1, ptr %box release, align 8
  br label %look
look:
  %turn = phi i64 [ 0, %watch ], [ %next_turn, %rest ]
  %seen = load atomic i64, ptr %box acquire, align 8
  %offer = icmp ugt i64 %seen, 1
  br i1 %offer, label %accept, label %patience
patience:
  %queued = load atomic i64, ptr %waiting acquire, align 8
  %wanted = icmp sgt i64 %queued, 0
  %tired = icmp sge i64 %turn, %spins
  %leave = or i1 %wanted, %tired
  br i1 %leave, label %go, label %rest
rest:
  {pause}
  %next_turn = add i64 %turn, 1
  br label %look
go:
  %away = cmpxchg ptr %box, i64 1, i64 0 acq_rel acquire
  %gone = extractvalue {{ i64, i1 }} %away, 1
  br i1 %gone, label %out, label %last_look
last_look:
  %late = extractvalue {{ i64, i1 }} %away, 0
  br label %accept
accept:
  %address = phi i64 [ %seen, %look ], [ %late, %last_look ]
  %exchange = cmpxchg ptr %box, i64 %address, i64 0 acq_rel acquire
  %accepted = extractvalue {{ i64, i1 }} %exchange, 1
  br i1 %accepted, label %join, label %watch ; or it was taken back
join:
  %job = inttoptr i64 %address to ptr
  call void @work(ptr %job)
  %left.at = getelementptr i64, ptr %job, i64 {left}
  %before = atomicrmw add ptr %left.at, i64 1 acq_rel ; the caller may free the job from here on
  br label %watch
out:
  ret void
}}

; Change at most `most` of the boxes that hold `old` to `new`; returns how many.
define internal i64 @exchange(ptr %boxes, i64 %workers, i64 %old, i64 %new, i64 %most) {{
  br label %each
each:
  %i = phi i64 [ 0, %0 ], [ %i_next, %try ]
  %changed = phi i64 [ 0, %0 ], [ %changed_next, %try ]
  %more = icmp slt i64 %i, %workers
  %need = icmp slt i64 %changed, %most
  %both = and i1 %more, %need
  br i1 %both, label %try, label %out
try:
  %slot = mul i64 %i, {box}
  %box = getelementptr i64, ptr %boxes, i64 %slot
  %exchange = cmpxchg ptr %box, i64 %old, i64 %new acq_rel acquire
  %success = extractvalue {{ i64, i1 }} %exchange, 1
  %one = zext i1 %success to i64
  %changed_next = add i64 %changed, %one
  %i_next = add i64 %i, 1
  br label %each
out:
  ret i64 %changed
}}

; Offer the job to at most `wanted` watching workers; returns how many.
define i64 @offer(ptr %job, ptr %boxes, i64 %workers, i64 %wanted) {{
  %address = ptrtoint ptr %job to i64
  %given = call i64 @exchange(ptr %boxes, i64 %workers, i64 1, i64 %address, i64 %wanted)
  %offered.at = getelementptr i64, ptr %job, i64 {offered}
  store i64 %given, ptr %offered.at
  ret i64 %given
}}

; The caller: works along, takes back what nobody has accepted, waits for the others. 1 when the job is finished and no
; worker holds its address, 0 when that takes longer than `spins` pauses: call it again after a nap.
define i64 @finish(ptr %job, ptr %boxes, i64 %workers, i64 %spins) {{
settle:
  call void @work(ptr %job)
  %address = ptrtoint ptr %job to i64
  %offered.at = getelementptr i64, ptr %job, i64 {offered}
  %offered = load i64, ptr %offered.at
  %back = call i64 @exchange(ptr %boxes, i64 %workers, i64 %address, i64 1, i64 %offered)
  %held = sub i64 %offered, %back
  store i64 %held, ptr %offered.at
  %count.at = getelementptr i64, ptr %job, i64 {count}
  %count = load i64, ptr %count.at
  %done.at = getelementptr i64, ptr %job, i64 {done}
  %left.at = getelementptr i64, ptr %job, i64 {left}
  br label %look
look:
  %turn = phi i64 [ 0, %settle ], [ %next_turn, %rest ]
  %done = load atomic i64, ptr %done.at acquire, align 8
  %left = load atomic i64, ptr %left.at acquire, align 8
  %all = icmp sge i64 %done, %count
  %alone = icmp sge i64 %left, %held
  %over = and i1 %all, %alone
  %tired = icmp sge i64 %turn, %spins
  %leave = or i1 %over, %tired
  br i1 %leave, label %out, label %rest
rest:
  {pause}
  %next_turn = add i64 %turn, 1
  br label %look
out:
  %result = zext i1 %over to i64
  ret i64 %result
}}
"""


class Functions(NamedTuple):
    """The functions above, callable from Python. All but ``offer`` release the interpreter lock."""

    serve: Callable[[int, int, int, int], None]
    offer: Callable[[int, int, int, int], int]
    finish: Callable[[int, int, int, int], int]


def _source() -> str:
    machine = llvm.get_process_triple().split("-")[0].replace("arm64", "aarch64").replace("amd64", "x86_64")
    slots = {slot.name.lower(): slot.value for slot in Slot}
    return _SOURCE.format(declare_pause=_DECLARE.get(machine, ""), pause=_PAUSE.get(machine, ""), box=BOX, **slots)


@lru_cache(maxsize=1)
def functions() -> Functions:
    """Compile on first use."""
    at = dict(zip(Functions._fields, machine_code("crew", _source, *Functions._fields), strict=True))
    number, address = ctypes.c_int64, ctypes.c_void_p
    serve = ctypes.CFUNCTYPE(None, address, address, number, address)
    offer = ctypes.PYFUNCTYPE(number, address, address, number, number)
    finish = ctypes.CFUNCTYPE(number, address, address, number, number)
    return Functions(serve(at["serve"]), offer(at["offer"]), finish(at["finish"]))


@lru_cache(maxsize=256)
def _trampoline(arguments: tuple[str, ...]) -> int:
    """Address of ``i32 (function, slots, start, stop)``: loads each argument from a slot of its own and calls on."""

    def source() -> str:
        lines = []
        for i, kind in enumerate(arguments):
            lines.append(f"  %p{i} = getelementptr i64, ptr %slots, i64 {i}")
            lines.append(f"  %a{i} = load {kind}, ptr %p{i}, align 8")
        given = "".join(f", {kind} %a{i}" for i, kind in enumerate(arguments))
        body = "\n".join(lines)
        return f"""
define i32 @trampoline(ptr %function, ptr %slots, i64 %start, i64 %stop) {{
  %result = alloca ptr
  %error = alloca ptr
{body}
  %status = call i32 %function(ptr %result, ptr %error{given}, i64 %start, i64 %stop)
  ret i32 %status
}}
"""

    letters = {"ptr": "p", "i64": "l", "double": "d", "float": "f"}  # file names may not be longer than 255 letters
    return machine_code("trampoline-" + "".join(letters.get(a, f"-{a}-") for a in arguments), source, "trampoline")[0]


class NativeKernel(NamedTuple):
    """Machine code of a row kernel and how to lay out its arguments (all but the two row numbers)."""

    function: int
    trampoline: int
    layout: struct.Struct

    def pack(self, args: tuple[Any, ...], buffer: Any, offset: int) -> None:
        """Write ``args`` into ``buffer``, one slot for a number; an array takes what Numba's array structure has."""
        slots: list[Any] = []
        for value in args:
            if isinstance(value, np.ndarray):
                address = value.__array_interface__["data"][0]
                slots += (0, 0, value.size, value.itemsize, address, *value.shape, *value.strides)
            else:
                slots.append(value)
        self.layout.pack_into(buffer, offset, *slots)


#: Slots of an array before its address.
BEFORE_ADDRESS = 4


def array_slots(axes: int) -> int:
    """Slots that an array takes."""
    return BEFORE_ADDRESS + 1 + 2 * axes


def _slots(kind: Any) -> tuple[str, list[str]]:
    """Format of an argument for `struct`, and the LLVM types of the parameters it becomes."""
    if isinstance(kind, types.Array):
        return "q" * array_slots(kind.ndim), ["ptr", "ptr", "i64", "i64", "ptr"] + ["i64"] * (2 * kind.ndim)
    if isinstance(kind, types.Boolean):
        return "?7x", ["i8"]
    if isinstance(kind, types.Integer):
        return "q" if kind.signed or kind.bitwidth < 64 else "Q", [f"i{kind.bitwidth}"]
    if isinstance(kind, types.Float):
        return ("d", ["double"]) if kind.bitwidth == 64 else ("f4x", ["float"])
    raise TypeError(f"row kernels take arrays and numbers, not {kind}")


def native_kernel(compiled: Any) -> NativeKernel:
    """The machine code of a kernel from ``compile_rows``."""
    (result,) = compiled.overloads.values()
    layout, arguments = "=", []
    for kind in result.fndesc.argtypes[:-2]:
        text, parameters = _slots(kind)
        layout += text
        arguments += parameters
    function = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    return NativeKernel(function, _trampoline(tuple(arguments)), struct.Struct(layout))


#: A Python function as a kernel: the two row numbers are all it is given.
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def python_kernel(callback: Any) -> NativeKernel:
    """A ``CALLBACK`` as a kernel without further arguments. The caller keeps it alive."""
    return NativeKernel(ctypes.cast(callback, ctypes.c_void_p).value or 0, _trampoline(()), struct.Struct("="))
