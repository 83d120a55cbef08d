"""A crash while saving loses nothing, and leaves nothing beside the file that others could read or trip over."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import SAVE, Env
from snapshots import at, snapshot

from lazygrad.errors import SaveError
from lazygrad.files import document, replacing

pytestmark = pytest.mark.usefixtures("numpy_alone")  # the system is made to fail while it saves


# A crash loses nothing.


class Crash(BaseException):
    """What no code of lazygrad expects."""


def failing_os(name: str, error: BaseException) -> Callable[[pytest.MonkeyPatch], None]:
    """A fault: a function of the system raises."""

    def inject(monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise error

        monkeypatch.setattr(os, name, fail)

    return inject


def failing_in_the_middle(error: BaseException) -> Callable[[pytest.MonkeyPatch], None]:
    """A fault: writing stops after the first variable."""

    def inject(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = document._row

        def row(entry: Any) -> Any:
            if entry.path != "w":
                raise error
            return whole(entry)

        monkeypatch.setattr(document, "_row", row)

    return inject


FAULTS = {
    f"{where} {type(error).__name__}": inject(error)
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError(), Crash())
    for where, inject in {
        "replace": lambda error: failing_os("replace", error),
        "fsync": lambda error: failing_os("fsync", error),
        "fchmod": lambda error: failing_os("fchmod", error),
        "write": failing_in_the_middle,
    }.items()
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_while_saving_leaves_the_old_file_and_nothing_else(
    fault: str, path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step fails and however: the old file is whole, nothing lies beside it, saving works afterwards."""
    env.name("v").set(np.ones(3))
    env.save(path)
    old = path.read_bytes()
    env["w"] = [7.0, 8.0]
    with monkeypatch.context() as patch:
        FAULTS[fault](patch)
        with pytest.raises((SaveError, KeyboardInterrupt, MemoryError, Crash)):
            env.save(path)
    assert old == path.read_bytes()
    assert [path] == list(path.parent.iterdir())
    env.save(path)
    assert np.array_equal([7.0, 8.0], Env.load(path)["w"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_while_saving_for_the_first_time_leaves_nothing(
    fault: str, path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was no file there is none."""
    env.name("v").set(np.ones(3))
    with monkeypatch.context() as patch:
        FAULTS[fault](patch)
        with pytest.raises((SaveError, KeyboardInterrupt, MemoryError, Crash)):
            env.save(path)
    assert [] == list(path.parent.iterdir())


def test_a_failure_of_the_system_is_told_in_full(path: Path, env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed, where, the system's reason, what to do."""
    failing_os("replace", OSError(28, "No space left on device"))(monkeypatch)
    with pytest.raises(SaveError) as caught:
        env.save(path)
    assert str(caught.value) == (
        f"cannot save to {str(path)!r}\n\n"
        f"{at(test_a_failure_of_the_system_is_told_in_full, SAVE)}\n\n"
        "    OSError: No space left on device\n"
        "    Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
    )


def test_a_full_disk_leaves_the_old_file(path: Path, env: Env) -> None:
    """The system itself refuses to write more than a limit, in the middle of a large array."""
    resource = pytest.importorskip("resource", reason="this system has no limits for files")
    env.save(path)
    old = path.read_bytes()
    env.name("large").set(np.zeros(100_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(SaveError, match="File too large"):
            env.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert old == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_a_folder_that_cannot_be_synced_does_not_stop_saving(
    path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems refuse it; the file is in place then, and stays whole either way."""
    fsync = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    env.save(path)
    assert snapshot(env) == snapshot(Env.load(path))


def test_the_file_is_synced_before_it_is_renamed(path: Path, env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the folder after it: in any other order a power cut could lose both files."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        calls.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    def renamed(*args: Any) -> None:
        calls.append("rename")
        replace(*args)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    env.save(path)
    folder = ["sync folder"] if hasattr(os, "O_DIRECTORY") else []
    assert ["sync file", "rename", *folder] == calls


SAVING = """
import sys
import numpy as np
import lazygrad as lg

env = lg.VariableEnvironment(seed=0)
env.name("a").set(np.zeros(200_000))
env.name("b").set(np.zeros(200_000))
print("ready", flush=True)
k = 0
while True:
    k += 1
    env["a"] = np.full(200_000, float(k))
    env["b"] = np.full(200_000, float(k))
    env.save(sys.argv[1])
    if k == 1:
        print("saved", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process without asking it")
def test_a_process_that_is_killed_while_saving_leaves_a_whole_file(path: Path) -> None:
    """Ten times at a random moment: the file always loads, and both variables are of the same save."""
    rng = np.random.default_rng(0)
    for delay in rng.uniform(0, 0.2, size=10):
        command = [sys.executable, "-c", SAVING, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert ["ready\n", "saved\n"] == [process.stdout.readline(), process.stdout.readline()]
            time.sleep(delay)
            process.kill()
        loaded = Env.load(path)
        assert loaded["a"][0] >= 1
        assert {loaded["a"][0]} == {*loaded["a"], *loaded["b"]}


# What is written beside the file.


def test_a_temporary_file_is_its_owners_alone(path: Path, env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first byte on: also where the file that it replaces, or the mask, would let others read it."""
    modes = []
    fsync = os.fsync
    row = document._row

    def noted(entry: Any) -> Any:
        modes.extend(stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob(".*.tmp"))
        return row(entry)

    monkeypatch.setattr(document, "_row", noted)
    monkeypatch.setattr(os, "fsync", lambda handle: fsync(handle))
    env.save(path)
    path.chmod(0o666)
    env.save(path)
    assert [0o600, 0o600] == modes
    assert 0o666 == stat.S_IMODE(path.stat().st_mode)


def left_over(path: Path, host: str | None = None, age: float = 0.0) -> Path:
    """A file such as a process leaves behind that is killed while it saves."""
    file = path.with_name(f"{replacing._beginning(path)}{host or replacing._host()}0123456789abcdef.tmp")
    file.write_text("half of")
    os.utime(file, (time.time() - age,) * 2)
    return file


@pytest.mark.skipif(replacing.fcntl is None, reason="this system has no locks to tell who is still writing")
def test_what_a_killed_process_left_goes_with_the_next_save(path: Path, env: Env) -> None:
    """At once, as no process holds its lock; also what was left beside a file with a long name."""
    for target in (path, path.with_name("é" * 120 + ".json")):
        left_over(target)
        env.save(target)
        target.unlink()
        assert [] == list(path.parent.iterdir())


@pytest.mark.skipif(replacing.fcntl is None, reason="this system has no locks to tell who is still writing")
def test_what_another_process_is_writing_stays(path: Path, env: Env) -> None:
    """It is locked, however old it is."""
    file = left_over(path, age=1e6)
    with open(file, "rb") as stream:
        replacing.fcntl.flock(stream, replacing.fcntl.LOCK_EX)
        env.save(path)
        assert {path, file} == set(path.parent.iterdir())
    env.save(path)
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("locks", [True, False])
def test_what_another_machine_left_goes_after_an_hour(
    locks: bool, path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its locks are not always seen from here; likewise where the file system has none."""
    if not locks:
        monkeypatch.setattr(replacing, "_lock", lambda *_, **__: None)
    host = "0" * 8 if locks else None
    file = left_over(path, host, age=3000)
    env.save(path)
    assert {path, file} == set(path.parent.iterdir())
    left_over(path, host, age=4000)
    env.save(path)
    assert [path] == list(path.parent.iterdir())


def test_only_what_is_surely_a_leftover_of_this_file_goes(
    path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not another file's, not the user's own, not a link, not a folder, not another user's."""
    digits = f"{replacing._host()}0123456789abcdef"
    others = [f".other.json.{digits}.tmp", ".env.json.tmp", f"env.json.{digits}.tmp", f".env.json.{digits}.tmp.json"]
    for name in others:
        path.with_name(name).write_text("mine")
    path.with_name(f".env.json.{digits[::-1]}.tmp").symlink_to(path.with_name(others[0]))
    path.with_name(f".env.json.{digits[:8]}{'1' * 16}.tmp").mkdir()
    path.with_name(".env.json.01234567.tmp").write_text("of version 1, and young")
    before = set(path.parent.iterdir())
    env.save(path)
    assert before | {path} == set(path.parent.iterdir())
    theirs = left_over(path)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    env.save(path)
    assert theirs.exists()


def test_a_leftover_of_version_1_goes_after_an_hour(path: Path, env: Env) -> None:
    """Those who wrote it held no lock."""
    file = path.with_name(".env.json.01234567.tmp")
    file.write_text("half of")
    os.utime(file, (time.time() - 4000,) * 2)
    env.save(path)
    assert [path] == list(path.parent.iterdir())


def test_a_file_that_is_swept_away_before_it_is_locked_is_begun_anew(
    path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that saves to the same place may take it for a leftover in that moment."""
    lock = replacing._lock
    swept = []

    def late(descriptor: int, wait: bool = False) -> bool | None:
        if wait and not swept:
            swept.extend(path.parent.glob(".*.tmp"))
            replacing._sweep(path)
        return lock(descriptor, wait)

    monkeypatch.setattr(replacing, "_lock", late)
    env.save(path)
    assert 1 == len(swept)
    assert [path] == list(path.parent.iterdir())
    assert snapshot(env) == snapshot(Env.load(path))


def test_threads_that_save_to_one_place_do_not_disturb_each_other(path: Path) -> None:
    """Nor do processes: each file is whole, the last one stays, and nothing lies beside it."""

    def saves(number: int) -> None:
        env = Env(seed=number)
        env.name("w").set(np.full(2000, number))
        for _ in range(20):
            env.save(path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(saves, range(4)))
    loaded = Env.load(path)
    assert {loaded._store.draws.seed} == set(loaded["w"].tolist())
    assert [path] == list(path.parent.iterdir())
