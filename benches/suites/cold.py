"""First calls: each in a process of its own, with an empty compile cache, then again with the cache it left behind.

The time of a first call includes importing Numba. There are no peers: OpenCV and scipy were compiled by others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benches.rows import Goal, Plan, Row
from benches.timing import Timing, quartiles

MEAN, GAUSSIAN, MEDIAN = "mean", "gaussian", "median"
SIZES = ("3", "5", "7", "9", "11", "15", "31")
DTYPES = ("uint8", "uint16", "float32")
#: Filters whose kernels serve all windows: parameters for the table, and the arguments of the call.
SIMILAR = {
    "nl_means": ("7x7", {"sigma": 10}),
    "bilateral": ("sigma 2", {"sigma_color": 30, "sigma_space": 2}),
    "guided": ("radius 8", {"radius": 8, "eps": 100}),
}
CALLS = (
    *((MEAN, "5", dtype) for dtype in DTYPES),
    *((GAUSSIAN, "2", dtype) for dtype in DTYPES),
    *((MEDIAN, size, dtype) for size in SIZES for dtype in DTYPES),
    *((name, "", dtype) for name in SIMILAR for dtype in DTYPES),
)
QUICK = ((MEAN, "5", "uint8"), (GAUSSIAN, "2", "float32"), (MEDIAN, "9", "uint8"))

CALL_GOAL = Goal(2.0)
WARM_UP_GOAL = Goal(60.0)
IMPORT_GOAL = Goal(0.05)

CHILD = """
import json, sys, time
import numpy as np
start = time.perf_counter()
import imrestore
imported = time.perf_counter() - start
name, argument, dtype, threads = sys.argv[1:]
imrestore.set_num_threads(int(threads))
start = time.perf_counter()
if name == "warmup":
    imrestore.warmup()
elif name != "import":
    image = (np.arange(256 * 256, dtype=np.uint32) * 2654435761 >> 24).reshape(256, 256).astype(dtype)
    start = time.perf_counter()
    getattr(imrestore, name)(image, **json.loads(argument))
print(json.dumps({"import": imported, "call": time.perf_counter() - start}))
"""


def rows(plan: Plan) -> Iterator[Row]:
    yield row("import", "beyond NumPy", [run_child(plan, "import")["import"] for _ in range(5)], IMPORT_GOAL)
    for name, argument, dtype in QUICK if plan.quick else CALLS:
        parameters, keywords = SIMILAR.get(name) or sized(name, argument)
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = (run_child(plan, name, json.dumps(keywords), dtype, cache=cache)["call"] for _ in range(2))
        yield row(name, parameters, [cold], CALL_GOAL, dtype, note=f"{warm:.2f} s in the next process")
    if not plan.quick:
        with tempfile.TemporaryDirectory() as cache:
            cold = run_child(plan, "warmup", cache=cache)["call"]
            warm = run_child(plan, "warmup", cache=cache)["call"]
        yield row("warmup", "everything", [cold], WARM_UP_GOAL, note=f"{warm:.2f} s the second time")


def sized(name: str, argument: str) -> tuple[str, dict[str, float]]:
    """Of a filter with one size: parameters for the table, and the arguments of the call."""
    if name == GAUSSIAN:
        return f"sigma {argument}", {"sigma": int(argument)}
    return f"{argument}x{argument}", {"size": int(argument)}


def row(name: str, parameters: str, seconds: list[float], goal: Goal, dtype: str = "", note: str = "") -> Row:
    q1, median, q3 = quartiles(seconds)
    timing = Timing(median, q1, q3, len(seconds), seconds[0])
    return Row("cold", name, parameters, dtype, (256, 256) if dtype else (), timing, goal=goal, note=note)


def run_child(
    plan: Plan, name: str, argument: str = "{}", dtype: str = "uint8", cache: str | None = None
) -> dict[str, float]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.path.join(root, "kernels"), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path} | ({} if cache is None else {"IMRESTORE_CACHE_DIR": cache})
    command = [sys.executable, "-c", CHILD, name, argument, dtype, str(plan.threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name} {argument} {dtype} failed in a fresh process:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
