"""A parent that has used imrestore, and children of every kind that use it too."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import jobs

ROOT = Path(__file__).resolve().parent.parent

# The programs run in an interpreter of their own: a fork must not inherit pytest, nor a dead child take it along.
START_METHOD = """
import json, multiprocessing, sys, threading
from tests import jobs

def main():
    method, count = sys.argv[1], int(sys.argv[2])
    before = [jobs.digest(range(len(jobs.MIXED))), jobs.large_digest(4)]
    assert any(thread.name == "imrestore" for thread in threading.enumerate())
    context = multiprocessing.get_context(method)
    with context.Pool(count) as pool:
        small = pool.map_async(jobs.digest, [range(len(jobs.MIXED))] * 3 * count, chunksize=1).get(timeout=120)
        large = pool.map_async(jobs.large_digest, [1, 2, 4, 8], chunksize=1).get(timeout=120)
    children = [context.Process(target=check, args=(before,)) for _ in range(2)]  # not daemonic: these use the pool
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=120)
    after = [jobs.digest(range(len(jobs.MIXED))), jobs.large_digest(4)]
    print(json.dumps({"before": before, "small": small, "large": large, "after": after,
                      "exit": [child.exitcode for child in children]}))

def check(expected):
    # One helper is enough to show that the pool is new.
    assert [jobs.digest(range(len(jobs.MIXED))), jobs.large_digest(2)] == expected
    assert any(thread.name == "imrestore" for thread in threading.enumerate())

if __name__ == "__main__":
    main()
"""

DATA_LOADER = """
import hashlib, json, sys, threading
import torch
from torch.utils.data import DataLoader, Dataset
import imrestore
from tests import jobs

class Pictures(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        name, dtype, shape, keywords = jobs.MIXED[index % len(jobs.MIXED)]
        result = getattr(imrestore, name)(torch.from_numpy(jobs.picture(dtype, shape)), **keywords)
        if index % 8 == 0:
            jobs.large_digest(4)
        started = sum(thread.name == "imrestore" for thread in threading.enumerate())
        return index, hashlib.sha256(result.numpy().tobytes()).hexdigest(), started

def main():
    jobs.large_digest(4)
    rows = []
    method, workers, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    loader = DataLoader(Pictures(), batch_size=None, num_workers=workers, multiprocessing_context=method, timeout=120)
    for _ in range(epochs):
        rows += list(loader)
    print(json.dumps(rows))

if __name__ == "__main__":
    main()
"""


def run(tmp_path: Path, program: str, *arguments: object) -> object:
    script = tmp_path / "program.py"
    script.write_text(program)
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_a_parent_that_used_the_pool(tmp_path: Path, method: str) -> None:
    got = run(tmp_path, START_METHOD, method, 4 if method == "fork" else 2)
    here = [jobs.digest(range(len(jobs.MIXED))), jobs.large_digest(1)]
    assert got["before"] == here
    assert set(got["small"]) == {here[0]}
    assert set(got["large"]) == {here[1]}
    assert got["after"] == here
    assert got["exit"] == [0, 0]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader_workers(tmp_path: Path, method: str) -> None:
    pytest.importorskip("torch")
    import hashlib

    workers, epochs = (4, 2) if method == "fork" else (2, 1)  # a spawned worker takes four seconds to start, with PyTorch
    rows = run(tmp_path, DATA_LOADER, method, workers, epochs)
    assert [index for index, *_ in rows] == list(range(24)) * epochs
    for index, digest, threads in rows:
        assert digest == hashlib.sha256(jobs.run(index)).hexdigest()
        assert threads == 0, "a DataLoader worker started threads of its own"


FORK_WHILE_BUSY = """
import os, signal, sys, threading
from tests import jobs

expected = jobs.large_digest(2)
stop = threading.Event()

def busy():
    while not stop.is_set():
        jobs.large_digest(4)

threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
statuses = []
for _ in range(12):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        os._exit(0 if jobs.large_digest(4) == expected else 3)
    statuses.append(os.waitpid(pid, 0)[1])
stop.set()
for thread in threads:
    thread.join()
print(statuses)
"""


def test_forks_while_other_threads_filter(tmp_path: Path) -> None:
    assert run(tmp_path, FORK_WHILE_BUSY) == [0] * 12


FORK_WHILE_COMPILING = """
import os, signal, threading
import numpy
import imrestore

image = (numpy.arange(900) % 251).astype(numpy.uint8).reshape(30, 30)
imrestore.median(image, 3)
started = threading.Event()

def compile_many():
    started.set()
    for rank in range(6):
        imrestore.median(image, (3, 5), rank=rank)

thread = threading.Thread(target=compile_many)
thread.start()
started.wait()
statuses = []
for turn in range(4):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        imrestore.median(image, (5, 3), rank=turn)
        imrestore.mean(image, 5)
        os._exit(0)
    statuses.append(os.waitpid(pid, 0)[1])
thread.join()
print(statuses)
"""


def test_forks_while_another_thread_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMRESTORE_CACHE_DIR", str(tmp_path / "cold"))
    assert run(tmp_path, FORK_WHILE_COMPILING) == [0] * 4


FORK_WHILE_IMPORTING = """
import os, signal, sys, threading
import numpy
import imrestore

image = (numpy.arange(900) % 251).astype(numpy.uint8).reshape(30, 30)
thread = threading.Thread(target=imrestore.median, args=(image, 3))
thread.start()
while sys.argv[1] not in sys.modules:
    pass
late = hasattr(sys.modules.get("imrestore_kernels.cpu.median"), "median")
pid = os.fork()
if pid == 0:
    signal.alarm(30)
    imrestore.median(image, 3)
    os._exit(0)
status = os.waitpid(pid, 0)[1]
thread.join()
print("null" if late else status)
"""


@pytest.mark.parametrize("module", ["imrestore_kernels.cpu", "llvmlite.binding", "numba.core.types"])
def test_forks_while_another_thread_imports_the_kernels(tmp_path: Path, module: str) -> None:
    """The child of a fork in the middle of a first call: what is half imported there can never be imported."""
    assert run(tmp_path, FORK_WHILE_IMPORTING, module) == 0


def test_a_fork_that_waits_for_an_import_holds_no_lock_that_the_import_needs(tmp_path: Path) -> None:
    """Hooks run last registered first. Held by a fork that waits, logging's lock would stop every import that makes a logger."""
    program = """
import os, signal, threading, time
import imrestore
import logging
from imrestore_kernels import forks

signal.alarm(30)
inside, forking = threading.Event(), threading.Event()

def load():
    with forks.importing:
        inside.set()
        forking.wait()
        time.sleep(0.2)  # the other thread waits in the fork's first hook
        logging.getLogger("made by an import")

thread = threading.Thread(target=load)
thread.start()
inside.wait()
forking.set()
pid = os.fork()
if pid == 0:
    with forks.importing:
        logging.getLogger("made by the child")
    os._exit(0)
print(os.waitpid(pid, 0)[1])
thread.join()
"""
    assert run(tmp_path, program) == 0


def test_every_late_import_of_ours_is_under_the_lock() -> None:
    """A fork waits for imports that are under it and for no others."""
    late = [place for path in sorted(ROOT.glob("imrestore/**/*.py")) if "cli" not in path.parts for place in unguarded(path)]
    late += [place for path in sorted(ROOT.glob("kernels/**/*.py")) for place in unguarded(path)]
    assert late == []


def unguarded(path: Path) -> list[str]:
    """Imports of imrestore's own modules inside functions, but not inside ``with forks.importing``."""
    places: list[str] = []

    def visit(node: ast.AST, late: bool, held: bool) -> None:
        held = held or (isinstance(node, ast.With) and any(ast.unparse(item) == "forks.importing" for item in node.items))
        late = late or isinstance(node, ast.FunctionDef)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(getattr(node, "module", ""))]
        if late and not held and any(name.startswith("imrestore") for name in names):
            places.append(f"{path.relative_to(ROOT)}:{node.lineno}")
        for child in ast.iter_child_nodes(node):
            visit(child, late, held)

    visit(ast.parse(path.read_text()), False, False)
    return places
