"""Compile a row kernel once, keep the machine code, and never let the cache hurt anybody.

Numba's own cache raises ``EOFError`` for ever once one of its files is damaged, keys closures by a pickle that changes
from process to process, and cannot be pointed at a directory per version. Here every kernel has a name that says all
that went into it (``median_5x5_r12_uint8``), one file, and a digest in front of it:

- the directory carries imrestore's, Numba's and Python's version and a hash of the kernel sources, has rights 0700 and must
  belong to the user (the files are pickles: whoever can write them can run code);
- a damaged, truncated or foreign file is logged, deleted and compiled anew;
- a directory that cannot be written means compiling in memory, with one log line.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import pickle
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import llvmlite
import llvmlite.binding as llvm
import numba
from numba import types
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult, Flags
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.extending import intrinsic

from imrestore_kernels import forks

logger = logging.getLogger("imrestore")

#: A first call that compiles for longer than this says so in the log.
SLOW_COMPILE_S = 1.0

_F = TypeVar("_F", bound=Callable[..., Any])


def _source_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).resolve().parent.parent.glob("**/*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cache_root() -> Path:
    """Directory under which every version keeps its own cache."""
    chosen = os.environ.get("IMRESTORE_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "imrestore"


def _version_name() -> str:
    python = f"{sys.implementation.name}{sys.version_info.major}{sys.version_info.minor}"
    return f"{_source_hash()}-numba{numba.__version__}-llvmlite{llvmlite.__version__}-{python}"


class _Store:
    """The directory, opened once per process. ``path`` is None where there is nothing safe to write to."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._path: Path | None = None

    @property
    def path(self) -> Path | None:
        if self._pid is None:
            self._pid = os.getpid()
            try:
                self._path = self._open()
            except (OSError, RuntimeError) as error:  # RuntimeError: no home directory
                logger.warning("compiled kernels are kept in memory only: %s", error)
                self._path = None
        return self._path

    @staticmethod
    def _open() -> Path:
        path = cache_root() / _version_name()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            raise PermissionError(f"{path} belongs to user {status.st_uid}, not to you")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{path} can be written by others (mode {stat.S_IMODE(status.st_mode):04o})")
        with tempfile.TemporaryFile(dir=path):
            pass
        return path

    def load(self, name: str) -> Any:
        """What was saved under ``name``, or None. A damaged file is deleted."""
        if self.path is None:
            return None
        file = self.path / name
        try:
            blob = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("cannot read compiled kernel %s (%s); compiling it anew", file, error)
            return None
        if len(blob) > 32 and hashlib.sha256(blob[32:]).digest() == blob[:32]:
            return pickle.loads(blob[32:])
        logger.warning("compiled kernel %s is damaged; deleting it and compiling anew", file)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("cannot delete %s: %s", file, error)
        return None

    def save(self, name: str, data: Any) -> None:
        """Write atomically; a failure costs nothing but the next process's compile time."""
        if self.path is None:
            return
        payload = dumps(data)
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path, prefix="tmp-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).digest())
                    file.write(payload)
                os.replace(temporary, self.path / name)
            except OSError:
                os.unlink(temporary)
                raise
        except OSError as error:
            logger.warning("cannot keep compiled kernel %s in %s: %s", name, self.path, error)


_store = _Store()


def cache_directory() -> Path | None:
    """Where this process keeps machine code, or None if it keeps it in memory only."""
    return _store.path


class _KernelCache(_Cache):  # type: ignore[misc]
    """Numba's cache interface over :class:`_Store`, for one kernel."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _file_name(self, signature: Any, codegen: Any) -> str:
        key = repr((str(signature), codegen.magic_tuple()))
        readable = re.sub(r"[^\w.-]", "_", self._name)
        return f"{readable}.{hashlib.sha256(key.encode()).hexdigest()[:16]}.bin"

    @property
    def cache_path(self) -> str | None:
        path = _store.path
        return None if path is None else str(path)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        data = _store.load(self._file_name(sig, target_context.codegen()))
        return None if data is None else CompileResult._rebuild(target_context, *data)

    def save_overload(self, sig: Any, cres: Any) -> None:
        _store.save(self._file_name(sig, cres.codegen), cres._reduce())

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...


@cache
def register_bytes() -> int:
    """Width of this machine's vector registers, as far as LLVM's code for it goes: 64 with AVX-512, else taken for 32."""
    with forks.compiling:  # asking LLVM takes llvmlite's lock, which a fork must not copy
        features: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return 64 if "+avx512f" in features.split(",") else 32


def intrinsic_of(names: Sequence[str], typing: Callable[..., Any], generate: Callable[..., Any]) -> Any:
    """Numba intrinsic with these parameters: Numba reads their number off the function."""
    scope: dict[str, Any] = {"typing": typing, "generate": generate}
    listed = ", ".join(names)
    exec(f"def operation(context, {listed}):\n    return typing({listed}), generate", scope)
    return intrinsic(scope["operation"])


#: Name of the kernel that is being compiled, under `forks.compiling`.
_compiling = ""


def _named_after(kernel: str, function: Any) -> Any:
    """The function under a name that says the kernel it is compiled for.

    Numba tells functions of one name and signature apart by a number that it counts up from 0 in every process. A kernel from
    the cache brings the numbers of another process with it: without the kernel in the name, uint16 images were filtered by code
    for int16.
    """
    digest = hashlib.sha256(kernel.encode()).hexdigest()[:16]
    named = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    named.__qualname__ = f"{function.__name__}_{digest}"
    named.__module__ = function.__module__
    return named


_RESULTS = {"None": types.none, "int": types.intp, "bool": types.boolean, "float": types.float64}


def inline(function: _F) -> _F:
    """A piece of a kernel: compiled into whoever calls it, and not callable from Python.

    It returns what its annotation says, for ``Any`` a value like its first argument, or like an element of it.

    With ``njit`` Numba also makes machine code and Python wrappers of every piece, which nobody calls: a first Gaussian of bytes
    took 4.0 s instead of 3.1.
    """

    def typing(*args: Any) -> Any:
        result = _RESULTS.get(function.__annotations__["return"], getattr(args[0], "dtype", args[0]))
        return result(*args)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flags = Flags()
        flags.nrt = True
        flags.error_model = "numpy"
        compiled = context.compile_subroutine(builder, _named_after(_compiling, function), signature, flags=flags)
        return context.call_internal(builder, compiled.fndesc, signature, args)

    return intrinsic_of(function.__code__.co_varnames[: function.__code__.co_argcount], typing, generate)  # type: ignore[no-any-return]


def compile_rows(function: _F, name: str, *signature: Any) -> _F:
    """Compile ``function`` for one signature, from the cache if it is there.

    Parameters
    ----------
    function : callable
        Python source of the kernel: no validation, no Python objects, returns None.
    name : str
        Says everything that went into the kernel beside its signature: it is the key of the cache.
    *signature : numba types
        Types of the arguments.
    """
    global _compiling
    with forks.compiling:
        start = time.perf_counter()
        _compiling = f"{name} {signature}"
        named = _named_after(_compiling, function)
        dispatcher = numba.njit(nogil=True, error_model="numpy", boundscheck=False, no_cfunc_wrapper=True)(named)
        dispatcher._cache = _KernelCache(name)
        dispatcher.compile(numba.types.void(*signature))
        dispatcher.disable_compile()
        seconds = time.perf_counter() - start
        if seconds > SLOW_COMPILE_S:
            logger.info("compiled %s once, in %.1f s; kept in %s", name, seconds, _store.path or "memory")
        return dispatcher  # type: ignore[no-any-return]


def machine_code(name: str, build: Callable[[], str], *functions: str) -> list[int]:
    """Compile LLVM text without Numba, from the cache if it is there; returns the addresses of functions in it.

    There are no passes that optimise, and the simple code generator: the text is meant to be what the processor should do (a
    31x31 network compiles in 0.95 s instead of 1.25 with opt=2, and runs as fast). The machine code is kept for the life
    of the process, since a thread may be inside when the interpreter ends.

    Parameters
    ----------
    name : str
        Says everything that goes into the text: it is the key of the cache.
    build : callable
        Makes the text, if it is not in the cache.
    *functions : str
        Names of functions in the text.
    """
    with forks.compiling:  # until LLVM's objects are gone: a fork meanwhile would inherit llvmlite's lock
        return _machine_code(name, build, functions)


def _machine_code(name: str, build: Callable[[], str], functions: Sequence[str]) -> list[int]:
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu, features, opt=1, codemodel="jitdefault")
    file_name = f"{name}.{hashlib.sha256(repr((name, triple, cpu, features)).encode()).hexdigest()[:16]}.obj"
    code = _store.load(file_name)
    if code is None:
        module = llvm.parse_assembly(build())
        module.triple = triple
        module.verify()
        code = machine.emit_object(module)
        _store.save(file_name, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))
    return [engine.get_function_address(function) for function in functions]
