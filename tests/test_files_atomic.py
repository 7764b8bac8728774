"""A new file appears complete or not at all, whatever the file system can do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from imrestore.cli.files import new_file

KINDS = ["anonymous", "named", "no links"]


@pytest.fixture(params=KINDS)
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Linux with anonymous files, a system without them, and one (FAT) that has no hard links either."""
    if request.param != "anonymous":
        monkeypatch.delattr(os, "O_TMPFILE")
    if request.param == "no links":

        def link(*paths: object, **options: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    return str(request.param)


@pytest.mark.parametrize("replace", [False, True])
def test_a_finished_file_has_its_name_and_is_alone(tmp_path: Path, file_system: str, replace: bool) -> None:
    path = tmp_path / "new" / "a.bin"
    with new_file(path, replace=replace) as file:
        file.write(b"half")
        assert not path.exists()
        if file_system == "anonymous":
            assert os.listdir(path.parent) == []
        file.write(b" whole")
    assert path.read_bytes() == b"half whole"
    assert os.listdir(path.parent) == ["a.bin"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(
    tmp_path: Path, file_system: str, replace: bool, error: type[BaseException]
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")

    def fail_halfway() -> None:
        with new_file(path, replace=replace) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path, file_system: str) -> None:
    path = tmp_path / "a.bin"

    def be_overtaken() -> None:
        with new_file(path, replace=False) as file:
            file.write(b"mine")
            path.write_bytes(b"somebody else's")

    with pytest.raises(FileExistsError):
        be_overtaken()
    assert path.read_bytes() == b"somebody else's"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_replacing_keeps_the_rights_of_the_old_file(tmp_path: Path, file_system: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    path.chmod(0o604)
    with new_file(path, replace=True) as file:
        file.write(b"after")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"after", 0o604)


def test_names_as_long_as_the_system_allows(tmp_path: Path, file_system: str) -> None:
    path = tmp_path / ("x" * 255)
    for _ in range(2):
        with new_file(path, replace=True) as file:
            file.write(b"data")
    assert os.listdir(tmp_path) == [path.name]
