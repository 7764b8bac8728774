"""NVRTC and ptxas from pip, without a driver: what a GPU's compiler says about the kernels' text."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from imrestore_kernels.cuda._launch import OPTIONS


class Usage(NamedTuple):
    """What ptxas reports about one kernel."""

    registers: int
    spill_bytes: int
    stack_bytes: int


def _pip_folders() -> list[Path]:
    spec = importlib.util.find_spec("nvidia")
    return [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]


@cache
def nvrtc_path() -> str | None:
    for folder in _pip_folders():
        for name in sorted(folder.glob("cu*/lib/libnvrtc.so.*")) + sorted(folder.glob("*/lib/libnvrtc.so.*")):
            return str(name)
    return None


@cache
def ptxas_path() -> str | None:
    for folder in _pip_folders():
        for name in sorted(folder.glob("*/bin/ptxas")):
            return str(name)
    return shutil.which("ptxas")


@cache
def _nvrtc() -> ctypes.CDLL:
    path = nvrtc_path()
    assert path is not None, "NVRTC is not installed"
    return ctypes.CDLL(path)


def compile_ptx(text: str, architecture: int) -> bytes:
    """PTX for ``sm_{architecture}``; fails with the compiler's log, which names our files and lines."""
    nvrtc = _nvrtc()
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None) == 0
    options = [o.encode() for o in (*OPTIONS, f"--gpu-architecture=compute_{architecture}")]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return ptx.value


def assemble(ptx: bytes, architecture: int) -> dict[str, Usage]:
    """Registers and spills of every kernel, by ``ptxas -v``."""
    path = ptxas_path()
    assert path is not None, "ptxas is not installed"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_bytes(ptx)
        command = [path, "-v", f"-arch=sm_{architecture}", str(source), "-o", str(source.with_suffix(".cubin"))]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
    report = done.stderr + done.stdout
    assert done.returncode == 0, report
    usage: dict[str, Usage] = {}
    pattern = (
        r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
        r"(\d+) bytes spill loads.*?Used (\d+) registers"
    )
    for name, stack, stores, loads, registers in re.findall(pattern, report, re.DOTALL):
        usage[name] = Usage(int(registers), int(stores) + int(loads), int(stack))
    assert usage, report
    return usage


@cache
def usage(text: str, architecture: int) -> dict[str, Usage]:
    """What the kernels of a text need; compiled once, however many of them are looked at."""
    return assemble(compile_ptx(text, architecture), architecture)
