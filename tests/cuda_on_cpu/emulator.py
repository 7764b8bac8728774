"""A backend of ``imrestore_kernels.cuda._launch`` that runs the kernels on the CPU.

The text that NVRTC would get is compiled by g++ with ``cuda_on_cpu.h`` in front, once per text, into a directory that
outlives the run (a library is named by the hash of everything that went into it). ``cuda_on_cpu.cc``, which they all
share, and the header are compiled once. Arrays are NumPy arrays. Scratch and outputs made by `guarded` lie between bytes
that must not change.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from imrestore_kernels.cuda._launch import Dim3

HERE = Path(__file__).parent
HEADER, SCHEDULER = "cuda_on_cpu.h", "cuda_on_cpu.cc"

ORDERS = {"forward": 0, "reverse": 1, "shuffled": 2}

# The test suite compiles hundreds of small kernels, which run for less time than that takes. Seconds of processor time for one
# kernel, mean of 30: 0.36 with -O1 and all of the emulator in the header, 0.20 with both parts compiled beforehand, 0.13 with
# -Og.
FLAGS = (
    "-std=gnu++17",
    "-Og",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fPIC",
    "-w",
)
LINK = ("-shared", "-nodefaultlibs", "-lm", "-lc", "-lgcc")  # no C++ library: a third of the time to link

#: A kernel that is there whatever the macros: its text is looked at outside of ``#if``.
_KERNEL = re.compile(r"__global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(")

_GUARD = 4096
_GUARD_BYTE = 0xA5


class EmulationError(AssertionError):
    """A kernel did what a GPU leaves undefined."""


def compiler() -> str | None:
    return shutil.which("g++")


def _compile(target: Path, *arguments: str, text: str | None = None) -> None:
    """Run g++ unless its result is there already; several workers may make the same one."""
    if target.exists():
        return
    made = target.with_name(f"{os.getpid()}.{target.name}")
    command = [compiler() or "g++", *FLAGS, *arguments, "-o", str(made)]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise EmulationError(f"g++ refused the kernel:\n{done.stderr[:4000]}")
    os.replace(made, target)


@cache
def _prepared() -> Path:
    """A directory of this user's own, with the header and the scheduler compiled: what lies in it is loaded as code."""
    top = Path(tempfile.gettempdir()) / f"imrestore-cuda-on-cpu-{os.getuid()}"
    top.mkdir(mode=0o700, exist_ok=True)
    if top.stat().st_uid != os.getuid():
        raise PermissionError(f"{top} belongs to somebody else")
    path = top / _digest(*((HERE / name).read_text() for name in (HEADER, SCHEDULER)), *FLAGS, *LINK)
    path.mkdir(exist_ok=True)
    _compile(path / f"{HEADER}.gch", "-x", "c++-header", str(HERE / HEADER))
    _compile(path / "scheduler.so", "-O2", str(HERE / SCHEDULER), *LINK)  # most of a kernel's time is spent in it
    return path


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def entries(text: str, kernel: str) -> list[str]:
    """The kernel and those beside it that no macro can have left out: launchers call them by turns, and one library holds all."""
    depth, lines = 0, []
    for line in text.splitlines():
        depth += line.startswith("#if") - line.startswith("#endif")
        lines += [line] if depth == 0 else []
    return sorted({kernel, *_KERNEL.findall("\n".join(lines))})


def build(text: str, kernel: str) -> Path:
    """Compile a kernel's text into a library."""
    place = _prepared()
    whole = "\n".join([text, '#line 1 "entry"', *(f"CUDA_ON_CPU_ENTRY({name})" for name in entries(text, kernel))]) + "\n"
    library = place / f"{_digest(whole)}.so"
    source = (f"-I{place}", f"-I{HERE}", "-include", HEADER, "-x", "c++", "-")  # the compiled header comes first
    _compile(library, *source, "-x", "none", str(place / "scheduler.so"), *LINK, text=whole)
    return library


def guarded(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array of garbage between two guards; see `check_guards`."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.full(size + 2 * _GUARD, _GUARD_BYTE, np.uint8)
    return memory[_GUARD : _GUARD + size].view(dtype).reshape(tuple(shape))


def check_guards(array: np.ndarray) -> None:
    memory = array
    while isinstance(memory.base, np.ndarray):
        memory = memory.base
    size = array.nbytes
    untouched = (memory[:_GUARD] == _GUARD_BYTE).all() and (memory[_GUARD + size :] == _GUARD_BYTE).all()
    if not untouched:
        raise EmulationError("a kernel wrote outside its array")


class Emulator:
    """Runs launches on the CPU with the threads of a block in one of `ORDERS`."""

    _libraries: dict[tuple[str, str], ctypes.CDLL] = {}  # noqa: RUF012 -- shared on purpose: one text, one library

    def __init__(self, order: str = "forward", seed: int = 1, only: Callable[[Dim3], Dim3] | None = None) -> None:
        """``only`` names the one block of a grid to run: for arrays too large to be filtered whole."""
        self.order = ORDERS[order]
        self.seed = seed
        self.only = only
        self.launches: list[str] = []
        self._scratch: list[np.ndarray] = []

    def launch(
        self,
        stem: str,
        function: str,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        text: str,
        shared_bytes: int,
    ) -> None:
        self.launches.append(function)
        library = self._libraries.get((text, function))
        if library is None:
            library = self._libraries[text, function] = ctypes.CDLL(str(build(text, function)))
        expected = getattr(library, f"{function}_arguments")()
        assert len(args) == expected, f"{function} takes {expected} arguments, got {len(args)}"
        values = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) and a.ndim else np.array(a) for a in args]
        pointers = (ctypes.c_void_p * len(values))()
        for i, value in enumerate(values):
            pointers[i] = value.ctypes.data if isinstance(value, np.ndarray) else ctypes.addressof(value)
        entry = getattr(library, f"{function}_launch")
        entry.restype = ctypes.c_char_p
        three = ctypes.c_uint * 3
        error = entry(
            three(*grid),
            three(*block),
            ctypes.c_size_t(shared_bytes),
            pointers,
            ctypes.c_int(self.order),
            ctypes.c_uint(self.seed),
            None if self.only is None else three(*self.only((grid[0], grid[1], grid[2]))),
        )
        if error is not None:
            raise EmulationError(f"{function}: {error.decode()}")
        for array in self._scratch:
            check_guards(array)

    def empty(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        self._scratch.append(guarded(shape, dtype))
        return self._scratch[-1]

    def upload(self, table: np.ndarray) -> np.ndarray:
        return table.copy()

    def namespace(self) -> Any:
        return np
