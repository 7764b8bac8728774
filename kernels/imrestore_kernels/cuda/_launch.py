"""The one door between the CUDA launchers and what runs them; the only file that touches CuPy.

`launch` hands a kernel's text, its macros and its arguments to a backend: the GPU through CuPy (the default), or
whatever a test installs with `use` (the CPU emulator, a recorder). The text is complete: macros come first as
``#define`` lines, ``#include "x.cuh"`` is replaced by that file, so that NVRTC and g++ need no include path, and
``#line`` makes their messages name the real file and line.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Protocol

import numpy as np

Dim3 = tuple[int, int, int]

#: Options of every NVRTC compilation. Fused multiply-add is the default, stated because sums depend on it; exact means
#: of 64-bit integers need 128 bits.
OPTIONS = ("--std=c++17", "--fmad=true", "--device-int128")

#: Hardware limits of the y and z grid axes; kernels stride over what lies beyond.
GRID_LIMITS = (2**31 - 1, 65535, 65535)

#: More dynamic shared memory than this needs an opt-in per function; no launcher asks for more.
SHARED_WITHOUT_OPT_IN = 48 * 1024

_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)


class Backend(Protocol):
    """What runs kernels and owns the arrays they work on."""

    def launch(
        self, stem: str, function: str, grid: Dim3, block: Dim3, args: Sequence[Any], text: str, shared_bytes: int
    ) -> None: ...

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any: ...

    def upload(self, table: np.ndarray[Any, Any]) -> Any: ...

    def namespace(self) -> Any: ...


@cache
def _file(name: str) -> str:
    return resources.files("imrestore_kernels.cuda").joinpath(name).read_text(encoding="utf-8")


def inline(text: str, name: str) -> str:
    """A text with its headers in place, each once, and ``#line`` marks that name the file ``name``."""
    seen: set[str] = set()

    def expand(text: str, name: str) -> str:
        def include(match: re.Match[str]) -> str:
            header = match[1]
            if header in seen:
                return ""
            seen.add(header)
            line = text.count("\n", 0, match.end()) + 2
            return f'{expand(_file(header), header)}#line {line} "{name}"'

        text = text.replace("#pragma once\n", "\n")
        return f'#line 1 "{name}"\n' + _INCLUDE.sub(include, text)

    return expand(text, name)


@cache
def _kernels(stem: str) -> str:
    return inline(_file(f"{stem}.cu"), f"{stem}.cu")


def source(stem: str, defines: Mapping[str, object]) -> str:
    """The complete text of ``stem.cu``: the macros, then the file with its headers inlined."""
    return _complete(stem, tuple(defines.items()))


@lru_cache(maxsize=4096)
def _complete(stem: str, defines: tuple[tuple[str, object], ...]) -> str:
    """One object per text: its hash, by which the kernels are found again, is computed once."""
    return "".join(f"#define {name} {value}\n" for name, value in defines) + _kernels(stem)


def grid(x: int, y: int = 1, z: int = 1) -> Dim3:
    """A grid for that many blocks, cut to the hardware's limits; every kernel strides over the rest."""
    return min(x, GRID_LIMITS[0]), min(y, GRID_LIMITS[1]), min(z, GRID_LIMITS[2])


class CupyBackend:
    """Runs kernels on the device of their first array, on CuPy's current stream, with scratch from CuPy's pool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._modules: dict[tuple[int, str], Any] = {}
        self._functions: dict[tuple[int, str, str], Any] = {}
        self._process: int | None = None

    def _check_process(self) -> None:
        """CUDA does not survive a fork; without this the child gets an initialization error that says nothing."""
        if self._process is None:
            self._process = os.getpid()
        elif self._process != os.getpid():
            raise RuntimeError(
                "CUDA was used before this process was forked and cannot be used in the child; start workers with "
                "multiprocessing's 'spawn' or 'forkserver' method"
            )

    def _function(self, cupy: Any, device: int, function: str, text: str) -> Any:
        key = (device, function, text)
        kernel = self._functions.get(key)
        if kernel is None:
            with self._lock:  # one thread compiles, the others wait for it
                module = self._modules.get((device, text))
                if module is None:
                    module = cupy.RawModule(code=text, options=OPTIONS, backend="nvrtc")
                    self._modules[device, text] = module
                kernel = self._functions[key] = module.get_function(function)
        return kernel

    def launch(
        self, stem: str, function: str, grid: Dim3, block: Dim3, args: Sequence[Any], text: str, shared_bytes: int
    ) -> None:
        import cupy

        self._check_process()
        device = next(arg.device for arg in args if isinstance(arg, cupy.ndarray))
        with device:
            kernel = self._function(cupy, device.id, function, text)
            kernel(grid, block, tuple(args), shared_mem=shared_bytes)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        import cupy

        self._check_process()
        return cupy.empty(shape, dtype)

    def upload(self, table: np.ndarray[Any, Any]) -> Any:
        import cupy

        self._check_process()
        return cupy.asarray(table)

    def namespace(self) -> Any:
        import cupy

        return cupy


_backend: Backend = CupyBackend()


@contextmanager
def use(backend: Backend) -> Iterator[None]:
    """Serve launches by another backend for a while. For tests: it is one setting for the whole process."""
    global _backend
    previous, _backend = _backend, backend
    try:
        yield
    finally:
        _backend = previous


def launch(
    stem: str,
    function: str,
    grid: Dim3,
    block: Dim3,
    args: Sequence[Any],
    defines: Mapping[str, object],
    shared_bytes: int = 0,
) -> None:
    """Run ``function`` of ``stem.cu``. ``args`` are arrays, NumPy scalars of the kernel's exact types, or None."""
    arguments = [np.uint64(0) if arg is None else arg for arg in args]  # a null pointer
    _backend.launch(stem, function, grid, block, arguments, source(stem, defines), shared_bytes)


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Uninitialised scratch where the kernels run."""
    return _backend.empty(shape, dtype)


def upload(table: np.ndarray[Any, Any]) -> Any:
    """A small table where the kernels run."""
    return _backend.upload(np.ascontiguousarray(table))


def namespace() -> Any:
    """The module of the arrays that the kernels work on, for what is no kernel: CuPy, or what stands in for it."""
    return _backend.namespace()
