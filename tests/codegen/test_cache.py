"""Object code kept in memory and on disk."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from lazygrad.engine.cpu import cache, llvm

POSIX = pytest.mark.skipif(os.name != "posix", reason="the system does not know owners and modes as POSIX does")
ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
OTHER = 54321  # a user that is not us


def text(number: int = 0) -> str:
    """A module whose function ``f`` returns ``number``."""
    return f"define i64 @f() {{\n  ret i64 {number}\n}}\n"


def value(code: llvm.Code) -> int:
    """What ``f`` returns."""
    return int(ctypes.CFUNCTYPE(ctypes.c_int64)(code.addresses["f"])())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for this test only, which is not there yet."""
    found = tmp_path / "some" / "folder"
    monkeypatch.setenv("LAZYGRAD_CACHE", str(found))
    monkeypatch.setattr(cache, "_codes", type(cache._codes)())
    monkeypatch.setattr(cache, "_writes", 0)
    return found


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are compiled while the test runs."""
    seen: list[str] = []

    def compiled(text: str, level: int = 1) -> bytes:
        seen.append(text)
        return llvm.compiled(text, level)

    monkeypatch.setattr(cache, "compiled", compiled)
    return seen


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A limit of four entries of these texts, looked at after every write."""
    size = len(cache._FORMAT) + 32 + len(llvm.compiled(text()))
    monkeypatch.setattr(cache, "LIMIT", 4 * size)
    monkeypatch.setattr(cache, "_WRITES", 1)
    return size


def entry(place: Path) -> Path:
    """The only entry."""
    (found,) = place.iterdir()
    return found


# What is kept.


def test_a_text_is_compiled_once(place: Path, compilations: list[str]) -> None:
    """The second time its code comes from disk, and is the same."""
    assert cache.object_code(text()) == cache.object_code(text())
    assert [text()] == compilations


def test_systems_other_than_posix_keep_entries_too(
    place: Path, small: int, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a folder has no descriptor its path is used: to write, to read, to mark as used, and to trim."""
    monkeypatch.setattr(cache, "_POSIX", False)
    cache.object_code(text())
    os.utime(entry(place), (0, 0))
    cache.object_code(text())
    assert entry(place).stat().st_mtime > 0
    for number in range(1, 9):
        cache.object_code(text(number))
    assert 9 == len(compilations)
    assert len(list(place.iterdir())) <= 4


def test_another_level_is_another_entry(place: Path, compilations: list[str]) -> None:
    """How a text is compiled belongs to its key."""
    cache.object_code(text(), 1)
    cache.object_code(text(), 2)
    assert 2 == len(compilations) == len(list(place.iterdir()))


@pytest.mark.parametrize("field", ["triple", "cpu", "features"])
def test_another_machine_has_another_key(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder shared by different machines serves each its own code."""
    here = cache.key(text())
    other = llvm.machine()._replace(**{field: "other"})
    monkeypatch.setattr(cache, "machine", lambda: other)
    assert here != cache.key(text())


def test_another_compiler_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions of llvmlite and LLVM belong to the key."""
    here = cache.key(text())
    monkeypatch.setattr(cache, "versions", lambda: "llvmlite 9, LLVM 99")
    assert here != cache.key(text())


def test_another_pipeline_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we do before LLVM's back end belongs to the key."""
    here = cache.key(text())
    monkeypatch.setattr(cache, "PIPELINE", cache.PIPELINE + 1)
    assert here != cache.key(text())


def test_code_in_memory_is_shared(place: Path) -> None:
    """The same text asked for twice is loaded once."""
    assert cache.code(text(), ["f"], {}) is cache.code(text(), ["f"], {})


def test_code_with_other_symbols_is_not_shared(place: Path) -> None:
    """Code is bound to the addresses that it was loaded with."""
    first = cache.code(text(), ["f"], {"g": 4096})
    assert first is not cache.code(text(), ["f"], {"g": 8192})


def test_code_in_memory_is_bounded(place: Path) -> None:
    """The module that was not asked for longest is let go."""
    for number in range(cache._CODES + 5):
        cache.code(text(number), ["f"], {})
    assert cache._CODES == len(cache._codes)
    assert cache._CODES + 4 == value(next(reversed(cache._codes.values())))


# Where it is kept.


@pytest.mark.parametrize("setting", ["", "0", "off", "OFF"])
def test_the_disk_can_be_left_alone(setting: str, monkeypatch: pytest.MonkeyPatch, compilations: list[str]) -> None:
    """With the cache switched off every text is compiled."""
    monkeypatch.setenv("LAZYGRAD_CACHE", setting)
    assert cache.folder() is None
    cache.object_code(text())
    cache.object_code(text())
    assert 2 == len(compilations)


@POSIX
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has another place for caches")
def test_the_folder_is_where_the_platform_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME if it is absolute, as its specification says, else ~/.cache."""
    monkeypatch.delenv("LAZYGRAD_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert tmp_path / "caches" / "lazygrad" == cache.folder()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert tmp_path / ".cache" / "lazygrad" == cache.folder()


@POSIX
def test_the_folder_is_for_us_alone(place: Path) -> None:
    """It is made with mode 700, and entries with mode 600."""
    cache.object_code(text())
    assert [0o700, 0o600] == [path.stat().st_mode & 0o777 for path in (place, entry(place))]


# What is damaged.


@pytest.mark.parametrize("region", ["format", "checksum", "code", "last"])
def test_a_damaged_byte_anywhere_is_found(place: Path, compilations: list[str], region: str) -> None:
    """The text is compiled again, and the entry mended."""
    good = cache.object_code(text())
    path = entry(place)
    whole = bytearray(path.read_bytes())
    offset = {"format": 3, "checksum": len(cache._FORMAT) + 5, "code": len(cache._FORMAT) + 40, "last": -1}[region]
    whole[offset] ^= 1
    path.write_bytes(whole)
    assert good == cache.object_code(text())
    assert good == cache.object_code(text())
    assert 2 == len(compilations)


@pytest.mark.parametrize("length", [0, 1, 23, 40, 55, 56, -1])
def test_a_truncated_entry_is_found(place: Path, compilations: list[str], length: int) -> None:
    """Wherever it was cut, the text is compiled again."""
    good = cache.object_code(text())
    path = entry(place)
    path.write_bytes(path.read_bytes()[:length])
    assert good == cache.object_code(text())
    assert 2 == len(compilations)


def test_an_entry_under_another_name_is_not_taken(place: Path, compilations: list[str]) -> None:
    """Sound code of another text is not this text's."""
    cache.object_code(text(1))
    path = entry(place)
    path.rename(place / f"{cache.key(text(2))}.object")
    assert 2 == value(cache.code(text(2), ["f"], {}))


def test_a_folder_in_place_of_an_entry_is_no_error(place: Path) -> None:
    """What cannot be read or replaced is left, and the text compiled."""
    place.mkdir(parents=True, mode=0o700)
    (place / f"{cache.key(text(3))}.object").mkdir()
    assert 3 == value(cache.code(text(3), ["f"], {}))


@POSIX
def test_a_link_in_place_of_an_entry_is_not_followed(place: Path, tmp_path: Path, compilations: list[str]) -> None:
    """An entry is a file of the folder itself."""
    cache.object_code(text())
    path = entry(place)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    cache.object_code(text())
    assert 2 == len(compilations)


# Whose it is.


@POSIX
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_left_alone(place: Path, mode: int, compilations: list[str]) -> None:
    """Nothing is read from it nor written to it."""
    cache.object_code(text())
    place.chmod(mode)
    cache.object_code(text())
    cache.object_code(text(1))
    assert 3 == len(compilations)
    assert 1 == len(list(place.iterdir()))


@POSIX
def test_an_entry_that_others_may_write_to_is_not_taken(place: Path, compilations: list[str]) -> None:
    """It is replaced by one of ours."""
    cache.object_code(text())
    entry(place).chmod(0o622)
    cache.object_code(text())
    assert 2 == len(compilations)
    assert 0o600 == entry(place).stat().st_mode & 0o777


@POSIX
@ROOT
def test_a_folder_of_another_user_is_left_alone(place: Path, compilations: list[str]) -> None:
    """Nothing is read from it nor written to it."""
    cache.object_code(text())
    os.chown(place, OTHER, OTHER)
    cache.object_code(text())
    cache.object_code(text(1))
    assert 3 == len(compilations)
    assert 1 == len(list(place.iterdir()))


@POSIX
def test_a_folder_that_seems_another_users_is_left_alone(
    place: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, as seen by someone who is not root."""
    cache.object_code(text())
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    cache.object_code(text())
    assert 2 == len(compilations)


@POSIX
@ROOT
def test_an_entry_of_another_user_is_not_taken(place: Path, compilations: list[str]) -> None:
    """It is replaced by one of ours."""
    cache.object_code(text())
    os.chown(entry(place), OTHER, OTHER)
    cache.object_code(text())
    assert 2 == len(compilations)
    assert 0 == entry(place).stat().st_uid


@POSIX
def test_a_link_of_ours_to_a_folder_of_ours_is_followed(place: Path, tmp_path: Path, compilations: list[str]) -> None:
    """Who keeps caches on another disk may link to it."""
    (tmp_path / "disk").mkdir(mode=0o700)
    place.parent.mkdir()
    place.symlink_to(tmp_path / "disk")
    cache.object_code(text())
    cache.object_code(text())
    assert 1 == len(compilations) == len(list((tmp_path / "disk").iterdir()))


@POSIX
@ROOT
@pytest.mark.parametrize("given", ["link", "folder"])
def test_a_link_is_left_alone_if_it_or_its_folder_is_another_users(place: Path, tmp_path: Path, given: str) -> None:
    """Nobody may lead us to a folder."""
    (tmp_path / "disk").mkdir(mode=0o700)
    place.parent.mkdir()
    place.symlink_to(tmp_path / "disk")
    os.chown(place if given == "link" else tmp_path / "disk", OTHER, OTHER, follow_symlinks=False)
    assert 4 == value(cache.code(text(4), ["f"], {}))
    assert [] == list((tmp_path / "disk").iterdir())


# What cannot be written.


@pytest.mark.parametrize("path", ["/dev/null/folder", "\0", "/proc/nothing/here"])
def test_a_folder_that_cannot_be_made_is_no_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is compiled, without a word."""
    monkeypatch.setattr(cache, "folder", lambda: Path(path))
    assert cache.object_code(text()) == llvm.compiled(text())


def test_a_file_in_place_of_the_folder_is_no_error(place: Path) -> None:
    """It is left as it is."""
    place.parent.mkdir()
    place.write_text("something of the user's")
    assert cache.object_code(text()) == llvm.compiled(text())
    assert "something of the user's" == place.read_text()


@POSIX
def test_a_disk_that_is_full_is_no_error(place: Path) -> None:
    """What could not be written whole is not there at all."""
    program = (
        "import resource, signal\n"
        "from lazygrad.engine.cpu import cache, llvm\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"print(cache.object_code({text()!r}) == llvm.compiled({text()!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "True\n" == done.stdout
    assert [] == list(place.iterdir())


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_no_error(place: Path) -> None:
    """An entry that cannot be written is not."""
    place.mkdir(parents=True, mode=0o500)
    assert cache.object_code(text()) == llvm.compiled(text())


def test_a_write_that_fails_is_no_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that is mounted for reading only."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    assert cache.object_code(text()) == llvm.compiled(text())
    assert [] == list(place.iterdir())


# Several at once, and how much.


def test_processes_that_write_at_once_do_no_harm(place: Path) -> None:
    """Four processes compile, damage and read the same entries; all get the right code."""
    program = (
        "import ctypes, os, random, sys\n"
        "from pathlib import Path\n"
        "from lazygrad.engine.cpu import cache\n"
        "cache._WRITES = 3; cache.LIMIT = 4000\n"
        "for turn in range(60):\n"
        "    number = random.randrange(8)\n"
        "    cache._codes.clear()\n"
        "    code = cache.code(f'define i64 @f() {{\\n  ret i64 {number}\\n}}\\n', ['f'], {})\n"
        "    assert number == ctypes.CFUNCTYPE(ctypes.c_int64)(code.addresses['f'])()\n"
        "    for path in list(Path(os.environ['LAZYGRAD_CACHE']).glob('*.object')) if turn % 10 == 9 else []:\n"
        "        try: os.truncate(path, random.randrange(600))\n"
        "        except FileNotFoundError: pass\n"
        "print('good')\n"
    )
    command = [sys.executable, "-c", program]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [("good\n", "")] * 4 == [process.communicate(timeout=60) for process in started]
    assert [] == list(place.glob("*.part"))


def test_the_folder_is_bounded(place: Path, small: int) -> None:
    """However much is compiled, the limit is kept."""
    for number in range(20):
        cache.object_code(text(number))
    assert sum(path.stat().st_size for path in place.iterdir()) <= 4 * small


def test_the_entries_not_used_for_longest_go_first(place: Path, small: int, compilations: list[str]) -> None:
    """An old entry that is used again is a new one."""
    names = {}
    for number in range(4):
        cache.object_code(text(number))
        names[number] = place / f"{cache.key(text(number))}.object"
        age = time.time() - 10 * 3600 + number
        os.utime(names[number], (age, age))
    cache.object_code(text(0))
    cache.object_code(text(4))
    assert [True, False, False, True] == [path.exists() for path in names.values()]


def test_parts_left_by_a_process_that_died_are_deleted(place: Path, small: int) -> None:
    """An old part goes; a new one may be in use, and a file that is none of ours stays."""
    place.mkdir(parents=True, mode=0o700)
    age = time.time() - 2 * 3600
    for name in ("old.part", "new.part", "notes.txt"):
        (place / name).write_text("")
    os.utime(place / "old.part", (age, age))
    os.utime(place / "notes.txt", (age, age))
    cache.object_code(text())
    assert ["new.part", "notes.txt"] == sorted(path.name for path in place.iterdir() if path.suffix != ".object")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not list open files")
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_an_entry_that_is_no_file_keeps_nothing_open(kind: str, place: Path, compilations: list[str]) -> None:
    """It is left alone, the text is compiled, and the descriptor is closed."""
    place.mkdir(parents=True, mode=0o700)
    entry = place / (cache.key(text()) + cache.SUFFIX)
    entry.mkdir() if kind == "folder" else os.mkfifo(entry)
    cache.object_code(text())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        cache._read(cache.key(text()))
    assert before == len(os.listdir("/proc/self/fd"))
    assert [text()] == compilations
