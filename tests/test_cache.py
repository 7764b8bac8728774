"""The compile cache never hurts: whatever happens to it, results are right and one log line says what went wrong."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from imrestore_kernels.cpu import _jit

ROOT = Path(__file__).resolve().parent.parent

# Prints a hash of the results; what imrestore logs goes to standard error.
LOGGING = """
import hashlib, logging, sys
logging.basicConfig(level=logging.WARNING, format="%(name)s %(levelname)s %(message)s")
import numpy
"""
# Three kernels that compile in no time, two by Numba and one of LLVM text: nearly every test here starts a process that loads
# or compiles them all. Without SciPy Numba starts in two thirds of the time, and says nothing.
SMALL = f"""{LOGGING}
import ctypes
sys.modules["scipy"] = None
from numba import types
from imrestore_kernels.cpu._jit import compile_rows, machine_code

def twice(src, dst, start, stop):
    for i in range(start, stop):
        dst[i] = src[i] + src[i]

image, digest = numpy.arange(9.0), hashlib.sha256()
for name, value in (("float32", types.float32), ("float64", types.float64)):
    kernel = compile_rows(twice, f"twice_{{name}}", value[::1], value[::1], types.intp, types.intp)
    result = numpy.zeros(9, name)
    kernel(image.astype(name), result, 0, 9)
    assert (result == 2 * image).all()
    digest.update(result.tobytes())
text = "define i64 @thrice(i64 %x) {{ %y = mul i64 %x, 3\\n ret i64 %y }}"
(address,) = machine_code("thrice", lambda: text, "thrice")
assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(14) == 42
print(digest.hexdigest())
"""
FILTERS = f"""{LOGGING}
import imrestore
image = (numpy.arange(96 * 80) * 7919 % 251).astype(numpy.uint8).reshape(96, 80)
print(hashlib.sha256(imrestore.median(image, 3).tobytes()).hexdigest())
"""


def environment(cache: Path | str | None, **changes: str) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if key not in ("IMRESTORE_CACHE_DIR", "XDG_CACHE_HOME")}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    if cache is not None:
        env["IMRESTORE_CACHE_DIR"] = str(cache)
    return env | changes


def start(
    cache: Path | str | None, before: str = "", program: str = SMALL, **changes: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(cache, **changes), cwd="/",
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[str, list[str]]:
    """Hash and log lines of a process that has to end well."""
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err[-3000:]
    lines = err.splitlines()
    assert [line for line in lines if not line.startswith("imrestore WARNING ")] == []
    return out.strip(), lines


def run(
    cache: Path | str | None, before: str = "", program: str = SMALL, **changes: str
) -> tuple[str, list[str]]:
    return finish(start(cache, before, program, **changes))


def files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache filled by one process, and the hash it printed."""
    cache = tmp_path_factory.mktemp("warm") / "cache"
    digest, lines = run(cache)
    assert lines == []
    assert sorted(path.suffix for path in files(cache)) == [".bin", ".bin", ".obj"]
    return cache, digest


@pytest.fixture
def copy(warm: tuple[Path, str], tmp_path: Path) -> Path:
    return shutil.copytree(warm[0], tmp_path / "cache")


def leaf(cache: Path) -> Path:
    (only,) = cache.iterdir()
    return only


def test_a_warm_cache_is_used_and_not_written(warm: tuple[Path, str], copy: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(copy)}
    digest, lines = run(copy, "import numba.core.compiler\nnumba.core.compiler.compile_extra = None\n")
    assert (digest, lines) == (warm[1], [])
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(copy)} == before


def test_only_the_user_may_enter(warm: tuple[Path, str]) -> None:
    assert stat.S_IMODE(leaf(warm[0]).stat().st_mode) == 0o700


def truncate_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def truncate_by_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncate_by_one_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit_of_the_first_byte(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def flip_a_bit_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def replace_by_garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


DAMAGES = (
    truncate_to_nothing,
    truncate_by_half,
    truncate_by_one_byte,
    flip_a_bit_of_the_first_byte,
    flip_a_bit_in_the_middle,
    replace_by_garbage,
    append,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_damaged_files_are_logged_and_healed(
    warm: tuple[Path, str], copy: Path, damage: Callable[[Path], None]
) -> None:
    damaged = files(copy)
    for path in damaged:
        whole = path.read_bytes()
        damage(path)
        assert path.read_bytes() != whole
    digest, lines = run(copy)
    assert digest == warm[1]
    assert len(lines) == len(damaged)
    for path in damaged:
        assert any(path.name in line and "damaged" in line for line in lines)
    # Compiling is deterministic: healed is what it was, and what a warm cache is known to be used with.
    assert [path.read_bytes() for path in files(copy)] == [path.read_bytes() for path in files(warm[0])]
    assert files(copy) == damaged


def test_a_directory_in_place_of_a_file(warm: tuple[Path, str], copy: Path) -> None:
    for path in files(copy):
        path.unlink()
        path.mkdir()
    digest, lines = run(copy)
    assert digest == warm[1]
    assert lines


# Root may read and write everything. A child that drops all capabilities is held to the permissions like anybody else.
DROP_RIGHTS = """
import ctypes, os
if os.geteuid() == 0:
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, nothing) == 0
"""


def test_unreadable_files(warm: tuple[Path, str], copy: Path) -> None:
    for path in files(copy):
        path.chmod(0)
    digest, lines = run(copy, DROP_RIGHTS)
    assert digest == warm[1]
    assert len([line for line in lines if "cannot read" in line]) == len(files(copy))


def test_a_read_only_cache_keeps_kernels_in_memory(warm: tuple[Path, str], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o555)
    digest, lines = run(cache, DROP_RIGHTS)
    assert digest == warm[1]
    assert len(lines) == 1
    assert "memory" in lines[0]
    assert files(cache) == []


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "IMRESTORE_CACHE_DIR"])
def test_a_place_that_cannot_be_made_keeps_kernels_in_memory(warm: tuple[Path, str], variable: str) -> None:
    digest, lines = run(None, **{variable: "/proc/self"})
    assert digest == warm[1]
    assert len(lines) == 1
    assert "memory" in lines[0]


def test_a_file_in_place_of_the_cache(warm: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    digest, lines = run(tmp_path / "file")
    assert digest == warm[1]
    assert len(lines) == 1
    assert (tmp_path / "file").read_text() == "not a directory"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707, 0o722])
def test_a_directory_others_can_write_to_is_refused(warm: tuple[Path, str], copy: Path, mode: int) -> None:
    for path in files(copy):
        path.unlink()
    leaf(copy).chmod(mode)
    digest, lines = run(copy)
    assert digest == warm[1]
    assert len(lines) == 1
    assert "written by others" in lines[0]
    assert files(copy) == []


def test_a_directory_of_someone_else_is_refused(warm: tuple[Path, str], copy: Path) -> None:
    for path in files(copy):
        path.write_bytes(b"planted")
    digest, lines = run(copy, "import os; os.getuid = lambda: 4242\n")
    assert digest == warm[1]
    assert len(lines) == 1
    assert "belongs to" in lines[0]
    assert {path.read_bytes() for path in files(copy)} == {b"planted"}


def test_a_full_disk(warm: tuple[Path, str], tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99))\n"
    digest, lines = run(tmp_path / "cache", limit)
    assert digest == warm[1]
    assert lines
    assert all("cannot keep" in line for line in lines)
    assert files(tmp_path / "cache") == []


def test_eight_cold_processes_at_once(warm: tuple[Path, str], tmp_path: Path) -> None:
    processes = [start(tmp_path / "cache") for _ in range(8)]
    assert {(digest, *lines) for digest, lines in map(finish, processes)} == {(warm[1],)}  # and no log line
    assert [path.name for path in files(tmp_path / "cache")] == [path.name for path in files(warm[0])]  # no "tmp-..." either
    assert run(tmp_path / "cache") == (warm[1], [])


def test_a_filter_from_a_damaged_cache(tmp_path: Path) -> None:
    cold, lines = run(tmp_path / "cache", program=FILTERS)
    assert lines == []
    whole = files(tmp_path / "cache")
    assert {path.suffix for path in whole} == {".bin", ".obj"}
    for path in whole:
        flip_a_bit_in_the_middle(path)
    digest, lines = run(tmp_path / "cache", program=FILTERS)
    assert digest == cold
    assert len(lines) == len(whole)


def test_a_process_killed_while_it_fills_the_cache(warm: tuple[Path, str], tmp_path: Path) -> None:
    for turn in range(2):
        process = start(tmp_path / "cache")
        deadline = time.monotonic() + 60
        while len(files(tmp_path / "cache")) <= turn and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert len(files(tmp_path / "cache")) > turn
    assert run(tmp_path / "cache") == (warm[1], [])


def test_places_in_the_order_of_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMRESTORE_CACHE_DIR", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert _jit.cache_root() == Path("/a")
    monkeypatch.setenv("IMRESTORE_CACHE_DIR", "")
    assert _jit.cache_root() == Path("/b/imrestore")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert _jit.cache_root() == Path("/c/.cache/imrestore")


def test_every_version_and_every_edit_has_a_directory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    name = _jit._version_name()
    assert re.fullmatch(r"[\w.+-]+", name)
    monkeypatch.setattr(_jit.numba, "__version__", "0.0.1")
    other = _jit._version_name()
    monkeypatch.undo()
    monkeypatch.setattr(_jit, "_source_hash", lambda: "0123456789ab")
    assert len({name, other, _jit._version_name()}) == 3
