"""A saved file keeps its owner and its permissions, and a place that is wrong is told."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files import LOAD, RESTORE, Env
from snapshots import at, snapshot

from lazygrad.errors import SaveError
from lazygrad.files import replacing

pytestmark = pytest.mark.usefixtures("numpy_alone")  # the system is made to fail while it saves

# Whose a file is.


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only an administrator gives files away")
def test_an_existing_file_keeps_its_owner_and_group(path: Path, env: Env) -> None:
    """An administrator who saves into a user's file does not take it away."""
    env.save(path)
    os.chown(path, 12345, 54321)
    path.chmod(0o640)
    env.save(path)
    status = path.stat()
    assert (12345, 54321, 0o640) == (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))


@pytest.mark.parametrize(("group", "expected"), [(True, 0o664), (False, 0o644)])
def test_a_file_that_cannot_be_given_away_lets_nobody_else_in(
    group: bool, expected: int, path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of the user who saves; if its group must change too, the new one may do only what everyone may."""
    env.save(path)
    path.chmod(0o664)
    real = os.stat

    class Others:
        def __init__(self, status: os.stat_result) -> None:
            self.st_uid, self.st_gid, self.st_mode = status.st_uid + 1, status.st_gid + 1, status.st_mode

    def refuse(descriptor: int, user: int, new: int) -> None:
        if user != -1 or not group:
            raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fchown", refuse)
        patch.setattr(replacing.os, "stat", lambda file, **_: Others(real(file)) if file == path else real(file, **_))
        env.save(path)
    assert expected == stat.S_IMODE(path.stat().st_mode)


def test_the_mask_is_found_where_the_system_does_not_tell_it(
    path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By setting it and setting it back."""
    before = os.umask(0o027)
    try:
        env.save(path)
        monkeypatch.setattr("builtins.open", failing_to_open("/proc/self/status"))
        env.save(other := path.with_name("other.json"))
        assert [0o640, 0o640] == [stat.S_IMODE(file.stat().st_mode) for file in (path, other)]
    finally:
        assert 0o027 == os.umask(before)


def failing_to_open(name: str) -> Callable[..., Any]:
    """``open``, for which a file is not there."""
    real = open

    def opened(file: Any, *args: Any, **settings: Any) -> Any:
        if file == name:
            raise FileNotFoundError(2, "No such file or directory")
        return real(file, *args, **settings)

    return opened


# Where a file may be.


def test_a_link_stays_and_its_file_is_replaced(path: Path, env: Env, tmp_path: Path) -> None:
    """``latest.json -> run7.json`` means the file it points to, which may also be in another folder."""
    target = tmp_path / "elsewhere" / "run7.json"
    target.parent.mkdir()
    path.symlink_to(target)
    env.save(path)  # the link points nowhere yet
    env["w"] = [7.0, 8.0]
    env.save(path)
    assert path.is_symlink()
    assert [7.0, 8.0] == Env.load(target)["w"].tolist()
    assert ([path], [target]) == (list(path.parent.iterdir()), list(target.parent.iterdir()))


def test_a_link_to_itself_is_refused(path: Path, env: Env) -> None:
    """There is no file that it could mean."""
    path.symlink_to(path)
    with pytest.raises(SaveError, match="Too many levels of symbolic links"):
        env.save(path)
    assert path.is_symlink()


def test_an_existing_file_keeps_its_permissions(path: Path, env: Env) -> None:
    """A file that only its owner may read does not become everyone's by being saved again."""
    env.save(path)
    path.chmod(0o640)
    env.save(path)
    assert 0o640 == stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_permissions_of_new_files(path: Path, env: Env) -> None:
    """Those that the user's mask gives, as for any other program."""
    env.save(path)
    other = path.with_name("other")
    other.touch()
    assert stat.S_IMODE(other.stat().st_mode) == stat.S_IMODE(path.stat().st_mode)


def test_a_read_only_file_is_not_replaced(path: Path, env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it read-only meant it, though the folder would allow it."""
    env.save(path)
    old = path.read_bytes()
    env["w"] = [0.0, 0.0]
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)  # an administrator may write to any file
    with pytest.raises(SaveError, match="PermissionError: The file is read-only"):
        env.save(path)
    assert old == path.read_bytes()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_neither_replaced_nor_read(path: Path, env: Env) -> None:
    """Nor a device: replacing one would damage the system, reading one may never end."""
    os.mkfifo(path)
    for use in (env.save, env.restore, Env.load):
        with pytest.raises(SaveError, match="It is a device or a pipe, not a file"):
            use(path)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("no/such/folder/env.json", "FileNotFoundError: No such file or directory"),
        (".", "IsADirectoryError: Is a directory"),
        ("x" * 300, "OSError: File name too long"),
        ("nul\0l", "ValueError: "),
        ("file/env.json", "Not a directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_told(place: str, reason: str, path: Path, env: Env) -> None:
    """With the system's reason; nothing is left there."""
    file = path.parent / "file"
    file.write_text("")
    with pytest.raises(SaveError) as caught:
        env.save(path.parent / place)
    assert reason in str(caught.value)
    assert [file] == list(path.parent.iterdir())


@pytest.mark.parametrize("place", [None, 3, b"env.json", ["env.json"]])
def test_a_path_of_another_type_is_told(place: Any, env: Env) -> None:
    """A number could even be taken for an open file."""
    for use in (env.save, env.restore, Env.load):
        with pytest.raises(SaveError, match=r"it is no path\n\n.*\n\n    It is a text, such as .*, or a pathlib\.Path"):
            use(place)


def test_a_path_of_bytes_within_a_path_is_taken(path: Path, env: Env) -> None:
    """What the system's own functions take."""

    class Bytes(os.PathLike[bytes]):
        def __fspath__(self) -> bytes:
            return os.fsencode(path)

    env.save(Bytes())  # type: ignore[arg-type]
    assert snapshot(env) == snapshot(Env.load(Bytes()))  # type: ignore[arg-type]


def test_the_sign_of_the_home_folder_is_told(env: Env) -> None:
    """It is the shell that knows it; a path has it as it stands."""
    for use in (env.save, env.restore, Env.load):
        with pytest.raises(SaveError, match=r"'~' is the name of a folder here\. Your own is pathlib\.Path\(path\)"):
            use("~/no such folder/env.json")


@pytest.mark.parametrize("suffix", [".pt", ".PKL", ".npy", ".h5", ".onnx", ".json.gz", ".safetensor"])
def test_no_file_is_written_under_the_name_of_another_form(suffix: str, path: Path, env: Env) -> None:
    """It would be JSON; what may be meant is said."""
    with pytest.raises(SaveError, match=rf": no file of the form \.{suffix.lower().rpartition('.')[2]} is written"):
        env.save(path.with_suffix(suffix))
    assert [] == list(path.parent.iterdir())
    env.save(path.with_suffix(".weights"))  # a name that says nothing is free
    assert snapshot(env) == snapshot(Env.load(path.with_suffix(".weights")))


def test_a_long_name_can_be_saved(path: Path, env: Env) -> None:
    """The file beside it has a name of its own, that is never too long."""
    long = path.with_name("é" * 120 + ".json")
    env.save(long)
    assert snapshot(env) == snapshot(Env.load(long))


def test_a_missing_file_is_told_in_full(path: Path, env: Env) -> None:
    """What failed, where, the system's reason, what to do."""
    with pytest.raises(SaveError) as caught:
        env.restore(path)
    assert str(caught.value) == (
        f"cannot read {str(path)!r}\n\n{at(test_a_missing_file_is_told_in_full, RESTORE)}\n\n"
        "    FileNotFoundError: No such file or directory\n    Check the path."
    )


def test_a_folder_is_told(path: Path, env: Env) -> None:
    """It is no file."""
    with pytest.raises(SaveError, match="IsADirectoryError: Is a directory"):
        env.restore(path.parent)


def test_reading_is_told_at_the_users_line(path: Path) -> None:
    """The line is that of the program, not of lazygrad."""
    with pytest.raises(SaveError) as caught:
        Env.load(path)
    assert at(test_reading_is_told_at_the_users_line, LOAD) in str(caught.value)
