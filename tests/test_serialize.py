"""Files: a crash loses nothing, a place that is wrong is told, and training goes on as if nothing had happened."""

from __future__ import annotations

import json
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
from files import Env
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.errors import BackendError, SaveError, SpecError
from lazygrad.files import document, replacing

pytestmark = pytest.mark.usefixtures("numpy_alone")  # the system is made to fail while it saves

# The lines of tests that messages name.
SAVE, LOAD, RESTORE = "env.save(path)", "Env.load(path)", "env.restore(path)"
RESTORE_MINE, RESTORE_AS = "mine.restore(path)", "env.restore(path, strict=strict)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet, in a folder of its own."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder / "env.json"


@pytest.fixture
def env() -> Env:
    """The environment that the file of :func:`document_of` fits."""
    env = Env(seed=7)
    env.name("w").set(np.array([5.0, 6.0], "float32"))
    return env


# Training goes on as if nothing had happened.


def network(seed: int = 11) -> tuple[Env, Callable[..., Any]]:
    """An environment with a small network in namespaces, and its step with random batches and dropout noise."""
    env = Env(seed=seed)
    rng = np.random.default_rng(1)
    for k, (rows, columns) in enumerate([(1, 8), (8, 1)]):
        layer = env.namespace("net").namespace(f"layer{k}")
        layer.name("w").set(rng.normal(size=(rows, columns)).astype("float32"))
        layer.name("b").set(np.zeros(columns, "float32"))
    return env, training(env, lg.optim.Adam(env, learning_rate=0.05))


def training(env: Env, adam: Any) -> Callable[..., Any]:
    """The step of :func:`network` with this optimizer."""

    def step(ctx: Any) -> Any:
        x = ctx.random.uniform((16, 1), low=-2.0, high=2.0)
        hidden = lg.tanh(x @ ctx.variable("net/layer0/w") + ctx.variable("net/layer0/b"))
        y = hidden @ ctx.variable("net/layer1/w") + ctx.variable("net/layer1/b")
        loss = lg.mean(lg.square(y - lg.sin(x) + 0.1 * ctx.random.normal((16, 1))))
        return loss, adam.minimize(loss)

    return step


def losses(env: Env, step: Callable[..., Any], way: str, count: int) -> list[bytes]:
    """The bits of the loss of ``count`` steps."""
    call = env.compile(step) if way == "compile" else lambda: env.run(step)
    return [call()[0].tobytes() for _ in range(count)]


@pytest.mark.parametrize("way", ["run", "compile"])
def test_training_goes_on_after_restore_bit_for_bit(way: str, path: Path) -> None:
    """Five steps, a file, five steps: as ten; the fresh environment's own seed and weights do not matter."""
    env, step = network()
    losses(env, step, way, 5)
    env.save(path)
    expected = losses(env, step, way, 5)
    fresh, step = network(seed=99)
    fresh.restore(path)
    assert expected == losses(fresh, step, way, 5)
    assert snapshot(env) == snapshot(fresh)


@pytest.mark.parametrize("way", ["run", "compile"])
def test_training_goes_on_after_restore_into_an_environment_that_has_run(way: str, path: Path) -> None:
    """Restoring takes back what was trained since, also where the step has been compiled."""
    env, step = network()
    call = env.compile(step) if way == "compile" else lambda: env.run(step)
    for _ in range(5):
        call()
    env.save(path)
    expected = [call()[0].tobytes() for _ in range(5)]
    after = snapshot(env)
    for _ in range(4):
        call()
    env.restore(path)
    assert expected == [call()[0].tobytes() for _ in range(5)]
    assert after == snapshot(env)


@pytest.mark.parametrize("way", ["run", "compile"])
def test_training_goes_on_after_load_with_the_optimizer_made_anew(way: str, path: Path) -> None:
    """Adam finds its state in the file by its name, settings included: what the constructor is given does not count."""
    env, step = network()
    losses(env, step, way, 5)
    env.save(path)
    expected = losses(env, step, way, 5)
    loaded = Env.load(path)
    step = training(loaded, lg.optim.Adam(loaded, learning_rate=123.0))
    assert expected == losses(loaded, step, way, 5)
    assert snapshot(env) == snapshot(loaded)


def test_the_optimizers_state_is_in_the_file(path: Path) -> None:
    """Moments, step count and settings are variables like others, and not trainable."""
    env, step = network()
    losses(env, step, "run", 3)
    env.save(path)
    rows = {r["name"]: r for r in json.loads(path.read_text())["variables"]}
    slots = [f"adam/net/layer{k}/{p}/{s}" for k in (0, 1) for p in "wb" for s in "mv"]
    assert [*slots, "adam/step"] == [name for name in [*slots, "adam/step"] if name in rows]
    assert {False} == {r["trainable"] for name, r in rows.items() if name.startswith("adam/")}
    assert [3] == rows["adam/step"]["data"]
    assert {"seed": 11, "runs": 3} == json.loads(path.read_text())["random"]


def test_a_saved_environment_is_not_changed_by_saving(path: Path) -> None:
    """Saving reads only."""
    env, step = network()
    losses(env, step, "run", 2)
    before = snapshot(env)
    env.save(path)
    assert before == snapshot(env)


# Restore.


def test_restore_keeps_the_environments_trainable_flags(path: Path, env: Env) -> None:
    """What is trained is the program's decision: a frozen variable stays frozen when numbers are restored."""
    env.save(path)
    frozen = Env(seed=0)
    frozen.name("w").set(np.zeros(2, "float32"), trainable=False)
    frozen.restore(path)
    assert [("w", False)] == [(v.path, v.trainable) for v in frozen]
    assert np.array_equal([5.0, 6.0], frozen["w"])


def test_restore_registers_the_optimizer_state_that_the_environment_lacks(path: Path) -> None:
    """Before the first step Adam has no moments yet; those in the file come in."""
    env, step = network()
    losses(env, step, "run", 1)
    env.save(path)
    fresh, _ = network()
    assert "adam/net/layer0/w/m" not in fresh
    fresh.restore(path)
    assert np.array_equal(env["adam/net/layer0/w/m"], fresh["adam/net/layer0/w/m"])


def test_restore_that_is_not_strict_takes_what_fits(path: Path, env: Env) -> None:
    """A trainable variable that only the file has is left there, one that only the environment has as it is."""
    env.name("theirs").set(np.ones(1))
    env.save(path)
    mine = Env(seed=0)
    mine.name("w").set(np.zeros(2, "float32"))
    mine.name("mine").set(np.full(1, 3.0))
    mine.restore(path, strict=False)
    assert ["w", "mine"] == [v.path for v in mine]
    assert ([5.0, 6.0], [3.0]) == (mine["w"].tolist(), mine["mine"].tolist())


def test_strict_restore_names_what_the_file_lacks(path: Path, env: Env) -> None:
    """The message names the variable and near ones in the file."""
    env.save(path)
    env.name("w2").set(np.ones(1))
    before = snapshot(env)
    with pytest.raises(SaveError) as caught:
        env.restore(path)
    assert str(caught.value) == (
        f"cannot restore {str(path)!r}: it has no variable 'w2'\n\n"
        f"{at(test_strict_restore_names_what_the_file_lacks, RESTORE)}\n\n"
        "    Did you mean 'w'?\n    Use strict=False to take only what fits."
    )
    assert before == snapshot(env)


def test_strict_restore_names_what_the_environment_lacks(path: Path, env: Env) -> None:
    """The message names the variable and near ones in the environment."""
    env.name("weights").set(np.ones(1))
    env.save(path)
    mine = Env(seed=0)
    mine.name("w").set(np.zeros(2, "float32"))
    mine.name("weight").set(np.ones(1))
    before = snapshot(mine)
    with pytest.raises(SaveError) as caught:
        mine.restore(path)
    assert str(caught.value) == (
        f"cannot restore {str(path)!r}: the environment has no variable 'weights'\n\n"
        f"{at(test_strict_restore_names_what_the_environment_lacks, RESTORE_MINE)}\n\n"
        "    Did you mean 'weight'?\n    Use strict=False to take only what fits."
    )
    assert before == snapshot(mine)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("other", [np.zeros(3, "float32"), np.zeros((2, 1), "float32"), np.zeros(2)])
def test_restore_refuses_other_shapes_and_dtypes(other: Any, strict: bool, path: Path, env: Env) -> None:
    """The message shows both; strict or not, numbers of another kind are not taken."""
    foreign = Env(seed=0)
    foreign.name("w").set(other)
    foreign.save(path)
    before = snapshot(env)
    with pytest.raises(SaveError) as caught:
        env.restore(path, strict=strict)
    assert str(caught.value) == (
        f"cannot restore {str(path)!r}: variable 'w' is another\n\n"
        f"{at(test_restore_refuses_other_shapes_and_dtypes, RESTORE_AS)}\n\n"
        f"    environment:  float32[2]\n    file:         {other.dtype}{list(other.shape)}\n"
        "    The file belongs to another model."
    )
    assert before == snapshot(env)


@pytest.mark.parametrize("moment", range(1, 7))
def test_an_interrupt_while_restoring_changes_nothing(
    moment: int, path: Path, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it comes, all variables, names and the random state are as before."""
    for k in range(3):
        env.name(f"v{k}").set(np.full(2, k, "float32"))
    for k in range(3):
        env.namespace("adam").name(f"m{k}").set(np.ones(2), trainable=False)
    env.save(path)
    mine = Env(seed=1)
    for name in ("w", "v0", "v1", "v2"):
        mine.name(name).set(np.zeros(2, "float32"))
    before = snapshot(mine)
    count = 0
    asarray = mine._store.backend.asarray

    def interrupted(array: Any) -> Any:
        nonlocal count
        count += 1
        if count == moment:
            raise KeyboardInterrupt
        return asarray(array)

    monkeypatch.setattr(mine._store.backend, "asarray", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mine.restore(path)
    assert before == snapshot(mine)
    monkeypatch.undo()
    mine.restore(path)
    assert snapshot(env)[0] == snapshot(mine)[0]


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
        with pytest.raises(SaveError, match=r"ValueError: a path is text or a pathlib\.Path"):
            use(place)


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


# Arguments of load.


def test_load_takes_another_default_dtype(path: Path, env: Env) -> None:
    """The variables of the file keep theirs."""
    env.save(path)
    loaded = Env.load(path, dtype="float64")
    assert (np.float64, np.float32) == (loaded.dtype, loaded["w"].dtype)


@pytest.mark.parametrize("dtype", ["int32", "nonsense", object])
def test_load_refuses_a_default_dtype_that_is_none(dtype: Any, path: Path, env: Env) -> None:
    """As the constructor does."""
    env.save(path)
    with pytest.raises(SpecError, match="by default"):
        Env.load(path, dtype=dtype)


def test_load_refuses_an_unknown_backend(path: Path, env: Env) -> None:
    """As the constructor does."""
    env.save(path)
    with pytest.raises(BackendError, match="there is no backend 'numpi'"):
        Env.load(path, backend="numpi")


# On a GPU.


def test_variables_on_a_gpu_return(cupy: Any, path: Path) -> None:
    """The file is the same as from NumPy, and may be read on either side."""
    array = np.array([0.1, np.nan, -0.0], "float32")
    files = []
    for backend in ("numpy", "cupy"):
        env = Env(backend=backend, seed=0)
        env.name("x").set(array)
        env.save(path)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    for backend in ("numpy", "cupy"):
        loaded = Env.load(path, backend=backend)
        loaded["x"] = np.zeros(3)
        loaded.restore(path)
        assert array.tobytes() == loaded._store.backend.to_numpy(loaded["x"]).tobytes()
