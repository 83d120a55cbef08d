"""Training goes on from a file as if nothing had happened, and what a file and an environment do not share is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import RESTORE, Env
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.errors import BackendError, SaveError, SpecError

pytestmark = pytest.mark.usefixtures("numpy_alone")  # the system is made to fail while it saves

# The lines of tests that messages name.
RESTORE_MINE, RESTORE_AS = "mine.restore(path)", "env.restore(path, strict=strict)"


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
    casts = "To cast it, load the file: env['w'] = lg.VariableEnvironment.load(path)['w']."
    cure = casts if other.shape == (2,) else "The file belongs to another model."
    assert str(caught.value) == (
        f"cannot restore {str(path)!r}: variable 'w' is another\n\n"
        f"{at(test_restore_refuses_other_shapes_and_dtypes, RESTORE_AS)}\n\n"
        f"    environment:  float32[2]\n    file:         {other.dtype}{list(other.shape)}\n    {cure}"
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
