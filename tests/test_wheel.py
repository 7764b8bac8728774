"""The wheel, built and used outside the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> str:
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is written into the tree."""
    tree = tmp_path_factory.mktemp("tree") / "imrestore"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "imrestore", "kernels"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tree.parent, tree, cwd=tree.parent)
    (built,) = tree.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel and the dependencies of this one, but without this tree."""
    place = tmp_path_factory.mktemp("venv")
    venv.create(place, with_pip=False, symlinks=True)
    interpreter = place / "bin" / "python"
    # A plain path: the .pth files inside it, the one of the editable install too, are not read.
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-deps", "--no-index", wheel, cwd=place)
    return interpreter


def files_of(root: Path, package: str) -> set[str]:
    files = (path for path in (root / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix() for path in files}


def test_the_wheel_holds_everything_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"imrestore", "imrestore_kernels"}
    assert files_of(ROOT, "imrestore") | files_of(ROOT / "kernels", "imrestore_kernels") <= set(names)
    assert {"imrestore/py.typed", "imrestore_kernels/py.typed"} <= set(names)
    assert any(name.endswith(".cu") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_filters(python: Path, tmp_path: Path) -> None:
    program = (
        "import numpy, imrestore, imrestore_kernels, importlib.metadata as m\n"
        "assert m.version('imrestore') == imrestore.__version__\n"
        "image = numpy.arange(400, dtype=numpy.float32).reshape(20, 20)\n"
        "for f in (imrestore.mean, imrestore.median, imrestore.gaussian): assert f(image).shape == (20, 20)\n"
        "assert imrestore.nl_means(image).shape == imrestore.bilateral(image, 9.0, 1.0).shape == (20, 20)\n"
        "print(imrestore.__file__, imrestore_kernels.__file__)"
    )
    for path in run(python, "-c", program, cwd=tmp_path).split():
        assert Path(path).is_relative_to(python.parent.parent)


def test_the_wheel_passes_the_tests_of_the_filters(python: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    chosen = ("tests/test_filters.py", "-k", "numpy and dtype and (uint8 or float32)")
    out = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, cwd=tmp_path)
    assert " passed" in out
    assert "failed" not in out


def test_the_command_is_installed(python: Path, tmp_path: Path) -> None:
    assert "gaussian" in run(python.parent / "imrestore", "--help", cwd=tmp_path)
