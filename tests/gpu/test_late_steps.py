"""Steps that are not synchronous: nothing waits for the device, and what fails is told later, with nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cupy_double import counts
from cupy_double.runtime import wait as caught_up

import lazygrad as lg

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

GOOD, BAD = np.array([0, 5]), np.array([0, 9])


@pytest.fixture(autouse=True)
def device(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def stepped(backend: str = "cupy", **settings: Any) -> tuple[lg.VariableEnvironment, Callable[..., Any]]:
    """A step that fails for some indices, draws, and has new values by a kernel and by a product."""
    env = lg.VariableEnvironment(backend=backend, seed=0)
    w = env.name("w").set(np.arange(6, dtype=np.float32))
    m = env.name("m").set(np.eye(3, dtype=np.float32) * 2)
    drawn = env.name("drawn").set(np.zeros(3, np.float32))

    def step(ctx: Any, i: Any) -> Any:
        total = lg.sum(w[i])
        half = m * 0.5 + total * 0  # waits for what may fail: a launch of its own
        updates = ctx.assign(w, w + 1), ctx.assign(m, m @ half), ctx.assign(drawn, ctx.random.uniform((3,)))
        return total, updates

    compiled = env.compile(step, wait=True, **settings)
    compiled(GOOD), compiled(GOOD)
    compiled.synchronize()
    return env, compiled


def state(env: lg.VariableEnvironment) -> list[Any]:
    """All variables."""
    return [np.asarray(env._store.backend.to_numpy(env[name])).tolist() for name in ("w", "m", "drawn")]


def after(calls: int) -> list[Any]:
    """The variables after so many calls that did not fail, of which the first two are :func:`stepped`'s."""
    env, step = stepped("numpy")
    for _ in range(calls):
        step(GOOD)
    return state(env)


def test_a_call_waits_for_nothing_until_a_variable_is_read() -> None:
    """It may fail, and is not asked whether it has; nor is anything sent from memory that is not pinned."""
    env, step = stepped(synchronous=False)
    index = env._store.backend.asarray(GOOD)
    step(index)
    before = counts.copy()
    for _ in range(20):
        step(index)
    spent = counts - before
    waits = ("waits for the device", "waits for a copy", "copies that may wait")
    assert [0, 0, 0] == [spent[name] for name in waits]
    assert spent["launches"] > 0
    assert after(21) == state(env)


def test_memory_from_which_numbers_are_sent_is_used_again() -> None:
    """There is not another buffer for every call."""
    env, step = stepped(synchronous=False)
    indices = [env._store.backend.asarray(GOOD) for _ in range(3)]
    before = counts["pinned buffers"]
    for k in range(60):
        step(indices[k % 3])
    assert counts["pinned buffers"] - before < 30
    assert after(60) == state(env)


@pytest.mark.parametrize("good", [0, 1, 2])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_what_failed_is_told_when_a_variable_is_read_and_nothing_is_lost(good: int, more: int) -> None:
    """Calls before it count, those after it do nothing; then it goes on."""
    env, step = stepped(synchronous=False)
    for indices in (*[GOOD] * good, BAD, *[GOOD] * more):
        step(indices)
    with pytest.raises(lg.LateError) as told:
        env["w"]
    assert 1 + more == told.value.lost
    assert after(good) == state(env)
    step(GOOD)
    assert after(good + 1) == state(env)


def test_a_late_failure_says_which_call_it_was_and_why() -> None:
    """Why only of the last call, whose arrays are still there."""
    env, step = stepped(synchronous=False)
    step(GOOD), step(BAD)
    with pytest.raises(lg.LateError) as told:
        step.synchronize()
    assert f"{told.value}" == (
        "a call of step had failed on the GPU\n\n"
        "    call:  2 of 2 since it was last waited for; it is the last one\n"
        "    why:   IndexError: index 9 is out of bounds for axis 0 with size 6\n"
        "    Variables and draws are as they were before that call. Compiled without synchronous=False a step raises "
        "in the call that fails, and says where."
    )
    assert isinstance(told.value.__cause__, IndexError)
    step(BAD), step(GOOD), step(GOOD)
    with pytest.raises(lg.LateError, match="call:  1 of 3 since it was last waited for; the 2 after it have done"):
        len(env)


def test_a_later_call_tells_as_soon_as_the_host_was_told() -> None:
    """Without being asked for a value; and that call is not made."""
    env, step = stepped(synchronous=False)
    step(BAD)
    caught_up()
    with pytest.raises(lg.LateError):
        step(GOOD)
    step.synchronize()
    assert after(0) == state(env)


DOORS: dict[str, Callable[[Any, Any], Any]] = {
    "another step": lambda env, other: other(),
    "a step that is run": lambda env, other: env.run(lambda ctx: lg.sum(ctx.variable("w"))),
    "saving": lambda env, other: env.save("never.json"),
    "copying": lambda env, other: env.copy(),
    "moving": lambda env, other: env.to("numpy"),
    "setting": lambda env, other: env.__setitem__("w", np.zeros(6)),
    "registering": lambda env, other: env.name("v").set(1.0),
    "a call with another signature": lambda env, other: other(np.zeros(3)),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_leads_past_what_has_failed(door: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reads or changes the environment waits, and is not done."""
    monkeypatch.chdir(tmp_path)
    env, step = stepped(synchronous=False)
    other = env.compile(lambda ctx, *x: ctx.assign(ctx.variable("w"), ctx.variable("w") * 2), synchronous=False)
    step(GOOD), step(BAD)
    with pytest.raises(lg.LateError):
        DOORS[door](env, other)
    assert after(1) == state(env)
    assert [] == list(tmp_path.iterdir())
    assert 3 == len(env)


def test_a_step_that_is_interrupted_between_two_launches_is_not_told_of_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not been; what failed before it is told still."""
    env, step = stepped(synchronous=False)
    from cupy_double.launch import Function

    call, left = Function.__call__, [0]

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return call(self, *args, **kwargs)

    monkeypatch.setattr(Function, "__call__", interrupted)
    for first, expected in ((GOOD, 0), (BAD, 1)):
        for launch in (1, 2):
            step(first)
            left[0] = launch
            with pytest.raises(KeyboardInterrupt):
                step(BAD)
            if expected:
                with pytest.raises(lg.LateError):
                    step.synchronize()
            else:
                step.synchronize()
    assert after(2) == state(env)


def test_a_variable_that_kernels_do_not_write_is_whole_too() -> None:
    """Products go straight into their place, and no kernel looks there whether a run has failed."""
    env = lg.VariableEnvironment(backend="cupy")
    m, w = env.name("m").set(np.eye(3, dtype=np.float32) * 2), env.name("w").set(np.arange(6, dtype=np.float32))
    step = env.compile(lambda ctx, i: (lg.sum(w[i]), ctx.assign(m, m @ m)), wait=True, synchronous=False)
    for indices in (GOOD, GOOD, BAD, GOOD, GOOD):
        step(indices)
    with pytest.raises(lg.LateError):
        m.value  # noqa: B018
    np.testing.assert_array_equal(m.value.get(), np.eye(3) * 16)


def test_on_numpy_it_means_nothing() -> None:
    """A call raises."""
    env, step = stepped("numpy", synchronous=False)
    with pytest.raises(IndexError):
        step(BAD)
    step.synchronize()
    assert after(0) == state(env)


def test_training_of_classes_waits_for_nothing_either() -> None:
    """A wrong label may be found in it, and updates of several variables are one launch."""
    env = lg.VariableEnvironment(seed=0, backend="cupy")
    layers, adam = [lg.nn.Linear(env, 5, 8), lg.nn.Linear(env, 8, 3)], lg.optim.Adam(env, 0.01)

    def train(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(layers[1](lg.nn.gelu(layers[0](x))), y))
        return loss, adam.minimize(loss)

    step = env.compile(train, wait=True, synchronous=False)
    x, y = (env._store.backend.asarray(a) for a in (np.ones((4, 5), np.float32), np.array([0, 1, 2, 0])))
    step(x, y), step(x, y)
    before = counts.copy()
    step(x, y), step(x, y)
    spent = counts - before
    assert (0, 0) == (spent["waits for the device"], spent["waits for a copy"])
    good = [v.value.get() for v in env]
    step(x, y + 1), step(x, y)
    with pytest.raises(lg.LateError) as told:
        step.synchronize()
    assert 2 == told.value.lost
    for v, expected in zip(env, good, strict=True):
        np.testing.assert_array_equal(v.value.get(), expected)


def test_a_step_with_calls_back_tells_at_once() -> None:
    """They wait by themselves; so does a loop, and what is compared with a run without kernels."""
    env = lg.VariableEnvironment(backend="cupy")
    w = env.name("w").set(np.arange(6, dtype=np.float32))
    step = env.compile(lambda ctx, i: (lg.sort(w[i]), ctx.assign(w, w + 1)), wait=True, synchronous=False)
    step(GOOD), step(GOOD)
    with pytest.raises(IndexError):
        step(BAD)
    assert [2, 3, 4, 5, 6, 7] == w.value.get().tolist()
