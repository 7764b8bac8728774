"""``imrestore info``: what a bug report needs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from typing import Any

PACKAGES = (
    "numpy", "numba", "llvmlite", "scipy", "scikit-image", "pillow", "tifffile", "imagecodecs", "rich",
    "torch", "dask", "cupy-cuda12x", "cupy-cuda13x", "opencv-contrib-python-headless",
)  # fmt: skip


def info(*, as_json: bool) -> int:
    """Print versions, threads, processor, GPUs and the compile cache."""
    facts = collect()
    if as_json:
        print(json.dumps(facts, indent=1))
        return 0
    print(f"imrestore    {facts['imrestore']}")
    print(f"Python       {facts['python']}")
    print(f"system       {facts['system']}")
    print(f"processor    {facts['processor']['name']}, {facts['processor']['cores']} cores for this process")
    print(f"threads      {facts['threads']}")
    gpu = facts["gpu"]
    for device in gpu["devices"]:
        print(f"GPU          {device['name']}, compute {device['compute']}, {device['memory_gib']} GiB")
    if not gpu["devices"]:
        print(f"GPU          none: {gpu['reason']}")
    cache = facts["compile_cache"]
    print(f"compiled     {cache['path'] or 'in memory only'} ({cache['files']} kernels, {cache['mib']} MiB)")
    print("packages     " + ", ".join(f"{name} {version}" for name, version in facts["packages"].items() if version))
    print("missing      " + (", ".join(name for name, version in facts["packages"].items() if not version) or "none"))
    return 0


def collect() -> dict[str, Any]:
    """Everything `info` prints, ready for JSON."""
    import imrestore

    try:
        threads: int | str = imrestore.get_num_threads()
    except ValueError as error:
        threads = str(error)
    return {
        "schema": "imrestore.info/1",
        "imrestore": imrestore.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processor": {"name": _processor(), "cores": _cores()},
        "threads": threads,
        "gpu": _gpu(),
        "compile_cache": _cache(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> dict[str, Any]:
    """CUDA devices as CuPy sees them; no device is a fact, not an error."""
    try:
        import cupy
    except ImportError as error:
        return {"devices": [], "reason": "CuPy is not installed" if error.name == "cupy" else f"CuPy: {error}"}
    runtime = cupy.cuda.runtime
    try:
        devices = [runtime.getDeviceProperties(i) for i in range(runtime.getDeviceCount())]
    except runtime.CUDARuntimeError as error:
        return {"devices": [], "reason": str(error)}
    return {
        "reason": None if devices else "no CUDA device",
        "devices": [
            {
                "name": device["name"].decode(),
                "compute": f"{device['major']}.{device['minor']}",
                "memory_gib": round(device["totalGlobalMem"] / 2**30, 1),
            }
            for device in devices
        ],
        "cuda_runtime": runtime.runtimeGetVersion(),
        "cuda_driver": runtime.driverGetVersion(),
    }


def _cache() -> dict[str, Any]:
    from imrestore_kernels.cpu import _jit

    path = _jit.cache_directory()
    files = [file for file in path.iterdir() if file.is_file()] if path else []
    size = sum(file.stat().st_size for file in files)
    return {"path": str(path) if path else None, "files": len(files), "mib": round(size / 2**20, 1)}
