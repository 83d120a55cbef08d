"""What compiled steps in native code promise: results are the caller's, and a step commits wholly or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import script
from snapshots import snapshot

import lazygrad as lg
from lazygrad.backends.numpy import NumpyBackend
from lazygrad.define import Array, elementwise
from lazygrad.engine.tier import Tier

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

X = np.arange(6, dtype="float32").reshape(2, 3)


@pytest.fixture(autouse=True)
def _auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default settings, whatever the suite is run under."""
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)
    monkeypatch.delenv("LAZYGRAD_CHECK", raising=False)


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with one variable."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    return env


# What a run returns, and what it changes.


@pytest.mark.parametrize("size", [3, 5000])
def test_a_returned_array_is_never_changed_by_later_calls(size: int) -> None:
    """Small and large ones, arguments and variables among them."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.zeros(size))
    fast = env.compile(
        lambda ctx, x: (x, x * 2, ctx.variable("w"), lg.cumulative_sum(x), ctx.assign("w", ctx.variable("w") + x)),
        wait=True,
    )
    given = [fast(np.full(size, k, "float64"))[:4] for k in range(6)]
    for k, (x, double, w, sums) in enumerate(given):
        assert (k, 2 * k, k * (k - 1) / 2, k * size) == (x[-1], double[-1], w[-1], sums[-1])
    arrays = [array for values in given for array in values]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


@pytest.mark.parametrize("size", [3, 5000])
def test_an_array_that_is_returned_twice_is_two_arrays(env: lg.VariableEnvironment, size: int) -> None:
    """Writing into one leaves the other as it was, as on NumPy."""
    fast = env.compile(lambda ctx, x: {"a": lg.exp(x), "b": lg.exp(x)}, wait=True)
    found = fast(np.zeros(size))
    found["a"][:] = 7
    assert 1.0 == found["b"][0]


def test_writing_into_a_returned_array_changes_no_later_one(env: lg.VariableEnvironment) -> None:
    """Nor a variable."""
    fast = env.compile(lambda ctx, x: (ctx.variable("w"), lg.full((3,), 2.0), lg.arange(3) + 1, x), wait=True)
    for _ in range(3):
        values = fast(np.ones(3))
        assert [[1, 2, 3], [2, 2, 2], [1, 2, 3], [1, 1, 1]] == [v.tolist() for v in values]
        for value in values:
            value[:] = 99


def test_a_setting_that_changes_compiles_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning rates, set and by a schedule, are variables."""
    made: list[Tier] = []
    make = Tier._make
    monkeypatch.setattr(Tier, "_make", lambda self, *given: (made.append(self), make(self, *given))[1])
    env, control = lg.VariableEnvironment(seed=0), lg.VariableEnvironment(seed=0)

    def step(owner: lg.VariableEnvironment) -> tuple[Callable[..., Any], Any, Any]:
        owner.name("w").set(np.ones(3, "float32"))
        adam = lg.optim.Adam(owner, lg.optim.schedules.Cosine(0.1, 10))
        sgd = lg.optim.SGD(owner, 0.5)

        def train(ctx: Any, x: Any) -> Any:
            w = ctx.variable("w")
            loss = lg.sum(lg.square(x - w))
            g = lg.grad(loss, [w])
            return loss, adam.update([w], g) if x.shape[0] == 3 else sgd.update([w], g)

        return train, adam, sgd

    train, _, sgd = step(env)
    other, _, other_sgd = step(control)
    fast = env.compile(train, wait=True)
    for k in range(8):
        sgd.learning_rate = other_sgd.learning_rate = 0.1 / (k + 1)
        for x in (np.full(3, 3, "float32"), np.full((2, 3), 2, "float32")):
            np.testing.assert_allclose(fast(x)[0], control.run(other, x)[0], rtol=1e-5)
    np.testing.assert_allclose(env["w"], control["w"], rtol=1e-5)
    assert 2 == len(made)


def test_draws_are_those_of_a_run() -> None:
    """Bit for bit, from the same seed, step by step."""

    def step(ctx: Any) -> Any:
        return ctx.random.normal((3, 2)), ctx.random.permutation(5), lg.sum(ctx.random.uniform(4) > 0.5)

    one, two = lg.VariableEnvironment(seed=5), lg.VariableEnvironment(seed=5)
    fast = two.compile(step, wait=True)
    for _ in range(4):
        for a, b in zip(one.run(step), fast(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_hooks_and_prints_come_once_a_run_and_in_order(env: lg.VariableEnvironment, capsys: Any) -> None:
    """With the numbers of that run."""
    seen: list[float] = []

    def step(ctx: Any, x: Any) -> Any:
        y = lg.hook(lg.sum(x), lambda a: seen.append(float(a)))
        return lg.show(lg.hook(y * 2, lambda a: seen.append(float(a))), "double") + 1

    fast = env.compile(step, wait=True)
    for k in range(3):
        fast(np.full(2, k))
    assert [0.0, 0.0, 2.0, 4.0, 4.0, 8.0] == seen
    assert "double: 0\ndouble: 4\ndouble: 8\n" == capsys.readouterr().out


def test_a_hook_is_called_once_in_a_run_that_fails_after_it(env: lg.VariableEnvironment) -> None:
    """Though NumPy is asked why."""
    seen: list[Any] = []
    fast = env.compile(lambda ctx, x, i: lg.hook(x * 2, seen.append)[i], wait=True)
    with pytest.raises(IndexError):
        fast(np.ones(3), np.array([5]))
    assert 1 == len(seen)


def test_a_variable_that_is_registered_between_calls_is_seen(env: lg.VariableEnvironment) -> None:
    """A step of all trainable ones is traced again, and one that is not trainable disturbs nothing."""
    fast = env.compile(lambda ctx: (lg.sum(ctx.variable("w")), ctx.assign("w", ctx.variable("w") + 1)), wait=True)
    every = env.compile(lambda ctx: lg.add_n([lg.sum(v) for v in ctx.variables()]), wait=True)
    fast(), fast()
    assert 12.0 == every()
    env.name("v").set(np.ones(2, "float32"))
    env.name("state").set(np.ones(2, "float32"), trainable=False)
    assert (14.0, 12.0) == (every(), fast()[0])
    env.name("late").set(np.zeros(1), trainable=False)
    assert 15.0 == fast()[0]
    assert ([5.0, 6.0, 7.0], [0.0]) == (env["w"].tolist(), env["late"].tolist())


def test_a_variable_that_is_set_between_calls_is_read(env: lg.VariableEnvironment) -> None:
    """Whichever of its two arrays it then lies in."""
    fast = env.compile(lambda ctx: (ctx.variable("w") * 2, ctx.assign("w", ctx.variable("w") + 1)), wait=True)
    for k in range(7):
        if k % 3 == 1:
            env["w"] = np.full(3, 10.0 * k)
        before = env["w"]
        assert (before * 2).tolist() == fast()[0].tolist()
        assert (before + 1).tolist() == env["w"].tolist()


def test_many_combinations_of_arrays_are_run(env: lg.VariableEnvironment) -> None:
    """Sixteen: four variables, each of which other steps change on its own."""
    for name in "abcd":
        env.name(name).set(np.zeros(3))
    both = env.compile(
        lambda ctx: (sum((ctx.variable(n) for n in "bcd"), ctx.variable("a")), ctx.assign("a", ctx.variable("a") + 1)),
        wait=True,
    )
    rng = np.random.default_rng(0)
    for _ in range(60):
        name = "abcd"[rng.integers(4)]
        env[name] = rng.normal(size=3)
        before = {n: env[n] for n in "abcd"}
        np.testing.assert_allclose(sum(before.values()), both()[0], rtol=1e-12)
        assert (before["a"] + 1).tolist() == env["a"].tolist()


def test_a_kernel_that_returns_another_dtype_than_declared_is_an_error(env: lg.VariableEnvironment) -> None:
    """Though native code could cast it."""

    @elementwise()
    def half(xp: Any, x: Array) -> Any:
        """x / 2, which is not whole."""
        return xp.multiply(x, 0.5)

    with pytest.raises(lg.errors.DefinitionError, match=r"'half' declares int64.3., but its kernel returned float64"):
        env.compile(lambda ctx, x: half(x), wait=True)(np.arange(3))


# A step commits wholly or not at all.


def failing(kind: type[BaseException]) -> Callable[..., Any]:
    """A step that gives two variables new values, between which a hook fails if x is negative."""

    def check(x: Any) -> None:
        if x.min() < 0:
            raise kind("from the hook")

    def step(ctx: Any, x: Any) -> Any:
        w, v = ctx.variable("w"), ctx.variable("v")
        first = w + x
        return ctx.assign("w", first), ctx.assign("v", v + lg.hook(lg.sum(first * 0 + x), check)), ctx.random.normal(2)

    return step


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, MemoryError])
def test_a_callback_that_raises_leaves_everything_as_it_was(
    env: lg.VariableEnvironment, kind: type[BaseException]
) -> None:
    """Variables and draws; and the next run goes on from there."""
    env.name("v").set(np.zeros(1, "float32"))
    fast = env.compile(failing(kind), wait=True)
    good, bad = np.ones(3, "float32"), -np.ones(3, "float32")
    fast(good)
    before = snapshot(env)
    for _ in range(2):
        with pytest.raises(kind, match="from the hook"):
            fast(bad)
        assert before == snapshot(env)
    fast(good)
    assert ([3.0, 4.0, 5.0], [6.0]) == (env["w"].tolist(), env["v"].tolist())


def test_an_error_of_a_callback_says_where_it_was_asked_for(env: lg.VariableEnvironment) -> None:
    """The op, and the user's line."""
    env.name("v").set(np.zeros(1, "float32"))
    fast = env.compile(failing(ValueError), wait=True)
    with pytest.raises(ValueError, match="from the hook") as caught:
        fast(-np.ones(3, "float32"))
    assert 1 == len(caught.value.__notes__)
    assert "while evaluating hook(float32[]), " in caught.value.__notes__[0]
    assert "test_steps.py" in caught.value.__notes__[0]


INDEX = "index 7 is out of bounds for axis 0 with size 3"


@pytest.mark.parametrize("again", [0, 3])
def test_an_index_out_of_range_is_numpys_error_and_changes_nothing(env: lg.VariableEnvironment, again: int) -> None:
    """At the first call, and at one that takes the shortest way."""

    def step(ctx: Any, i: Any) -> Any:
        w = ctx.variable("w")
        return w[i], ctx.assign("w", w + 1)

    fast = env.compile(step, wait=True)
    for _ in range(again):
        fast(np.array([0, -1]))
    before = snapshot(env)
    with pytest.raises(IndexError, match=INDEX):
        fast(np.array([0, 7]))
    assert before == snapshot(env)
    assert [1.0 + again, 3.0 + again] == fast(np.array([0, -1]))[0].tolist()


@pytest.mark.parametrize(
    "taken",
    [
        lambda w, i: lg.full((3,), 2.0)[i],
        lambda w, i: lg.zeros((3, 2))[i, 0],
        lambda w, i: lg.sum(w[i]),
        lambda w, i: lg.exp(w)[i],
        lambda w, i: w[::-1][i],
        lambda w, i: lg.at(w)[i].add(1.0),
        lambda w, i: lg.at(w)[i].set(1.0),
        lambda w, i: lg.at(lg.zeros(3))[i].add(lg.ones(2)),
    ],
    ids=["a number", "zeros", "summed", "computed", "reversed", "added to", "set", "by segment"],
)
def test_every_index_out_of_range_is_an_error(env: lg.VariableEnvironment, taken: Callable[[Any, Any], Any]) -> None:
    """Whatever it names elements of, on either side, as it is on NumPy."""
    step = lambda ctx, i: taken(ctx.variable("w"), i)  # noqa: E731
    fast = env.compile(step, wait=True)
    good = np.array([0, -3])
    np.testing.assert_allclose(env.run(step, good), fast(good), rtol=1e-6)
    for wrong in (np.array([0, 3]), np.array([-4, 0])):
        with pytest.raises(IndexError):
            env.run(step, wrong)
        with pytest.raises(IndexError):
            fast(wrong)


def test_without_memory_for_a_result_nothing_changes(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is NumPy's, and does not name an op that had nothing to do with it."""
    env.name("big").set(np.zeros(5000))
    seen: list[Any] = []

    def step(ctx: Any, x: Any) -> Any:
        new = ctx.variable("big") + lg.sum(lg.hook(x, seen.append))
        return lg.exp(new * 1e-9), ctx.assign("big", new)

    fast = env.compile(step, wait=True)
    for _ in range(2):  # on either side of the variable
        fast(X)
    before = snapshot(env)

    def full(*args: Any, **kwargs: Any) -> Any:
        raise MemoryError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(NumpyBackend.xp, "empty", full)
        with pytest.raises(MemoryError, match="no memory") as caught:
            fast(X)
    assert before == snapshot(env)
    assert not any("hook" in note for note in getattr(caught.value, "__notes__", []))
    fast(X)
    assert 45.0 == env["big"][0]


def test_a_kernel_that_returns_another_shape_than_declared_is_an_error(env: lg.VariableEnvironment) -> None:
    """Though NumPy could spread it over what was declared."""

    @elementwise()
    def total(xp: Any, x: Array) -> Any:
        """The sum, which is no op of single elements."""
        return xp.sum(x)

    with pytest.raises(lg.errors.DefinitionError, match=r"op 'total' declares float32\[2, 3\]"):
        env.compile(lambda ctx, x: total(x), wait=True)(X)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(
    ("kernel", "arguments"),
    [
        (lambda xp, a, b: xp.where(a == b, a, 0), (np.arange(3.0), np.array([0.0, 5.0, 2.0]))),
        (lambda xp, a, b: xp.where(a != b, a, 9), (np.arange(3.0), np.array([0.0, 5.0, 2.0]))),
        (lambda xp, a, b: a + b, (np.array([True, True, False]), np.array([True, False, False]))),
        (lambda xp, a, b: xp.where(a > -0.5, a, b), (np.array([1, 0, -1]), np.array([7, 8, 9]))),
        (lambda xp, a, b: xp.where(a * 0.5 > 0.5, a, b), (np.array([1, 3, -1]), np.array([7, 8, 9]))),
        (lambda xp, a, b: xp.rint(a / 2) + 0 * b, (np.array([1.0, 3.0, -1.0]), np.arange(3.0))),
        (lambda xp, a, b: a * b - b, (np.array([1, 3, -1]), np.array([7, 8, 9]))),
    ],
    ids=["==", "!=", "bool + bool", "int > -0.5", "int * 0.5", "float / 2", "int"],
)
def test_a_users_kernel_may_be_written_with_operators(kernel: Callable[..., Any], arguments: Any, wait: bool) -> None:
    """They mean what they mean on arrays, or the kernel is called back."""

    @elementwise()
    def op(xp: Any, a: Array, b: Array) -> Any:
        """What the kernel gives, in the dtype of the operands."""
        return kernel(xp, a, b)

    env = lg.VariableEnvironment(dtype="float64")
    fast = env.compile(lambda ctx, a, b: op(a, b), wait=wait)
    expected = kernel(np, *arguments)
    fast(*arguments)
    fast.wait()
    np.testing.assert_array_equal(expected, fast(*arguments))


# Several at once.


def test_two_environments_and_two_threads_run_at_once() -> None:
    """Each environment's steps one after the other, though both threads call both."""

    def step(ctx: Any, x: Any) -> Any:
        w = ctx.variable("w")
        return lg.sum(x * w), ctx.assign("w", w + 1)

    envs = [lg.VariableEnvironment(), lg.VariableEnvironment()]
    for env in envs:
        env.name("w").set(np.zeros(1000))
    steps = [env.compile(step) for env in envs]
    x = np.ones(1000)
    found: list[list[float]] = [[], []]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                for k, fast in enumerate(steps):
                    found[k].append(float(fast(x)[0]))
        except BaseException as reason:
            failures.append(reason)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures
    for k in range(2):
        assert [1000.0 * n for n in range(400)] == sorted(found[k])
        assert 400.0 == envs[k]["w"][0]


def test_a_hook_may_run_a_step_of_another_environment(env: lg.VariableEnvironment) -> None:
    """In the middle of a native run."""
    other = lg.VariableEnvironment()
    other.name("w").set(np.zeros(2))
    count = other.compile(lambda ctx: (ctx.variable("w"), ctx.assign("w", ctx.variable("w") + 1)), wait=True)
    fast = env.compile(lambda ctx, x: lg.exp(lg.hook(x * 2, lambda a: count())) + 1, wait=True)
    for _ in range(4):
        fast(X)
    assert [4.0, 4.0] == other["w"].tolist()


def test_a_hook_that_runs_its_own_step_is_an_error(env: lg.VariableEnvironment) -> None:
    """Also by the shortest way."""
    plain = env.compile(lambda ctx: ctx.variable("w") * 2, wait=True)
    for _ in range(3):
        plain()
    fast = env.compile(lambda ctx, x: lg.hook(x * 2, lambda a: plain()) + 1, wait=True)
    with pytest.raises(lg.errors.GraphError, match="while a step is being evaluated"):
        fast(X)


THREADS = """
import hashlib
import numpy as np, lazygrad as lg
from lazygrad.engine.cpu.driver import threads
rng = np.random.default_rng(0)
env = lg.VariableEnvironment(seed=0)
x, y, z = (rng.normal(size=s).astype("float32") for s in ((300_000,), (60_001, 5), (700, 301)))
i = rng.integers(0, 40, 60_001)
def step(ctx, x, y, z, i):
    s, q = lg.nn.softmax(z), lg.reshape(x, (1000, 300))
    return (lg.sum(x), lg.sum(y, axis=0), lg.prod(1 + x * 1e-4), s, lg.sum(s * z, axis=0), lg.segment_sum(y, i, 40),
            lg.segment_sum(y, i % 3, 3), lg.var(x), lg.argmax(z, axis=1), lg.sum(lg.tanh(y), axis=1), z @ z.T,
            q.T @ q, lg.logsumexp(x), lg.max(y.T * 2, axis=1))
fast = env.compile(step, wait=True)
values = fast(x, y, z, i)
assert fast.is_native
again = fast(x, y, z, i)
assert all(a.tobytes() == b.tobytes() for a, b in zip(values, again))
print([hashlib.sha256(v.tobytes()).hexdigest() for v in values], threads())
"""


def test_the_number_of_threads_changes_no_bit() -> None:
    """Of sums of everything, by columns, by segments, of rows, and of products; and the same again."""
    one, two, three = (script(THREADS, LAZYGRAD_THREADS=n).rsplit(" ", 1) for n in "137")
    assert one[0] == two[0] == three[0]
    assert ["1", "3", "7"] == [found[1].strip() for found in (one, two, three)]


def test_the_same_bits_may_be_wanted_with_a_sign_and_without() -> None:
    """LLVM's integers have none: one instruction serves int32 and uint32, each with its own comparisons."""
    fast = lg.VariableEnvironment().compile(
        lambda ctx, x: (lg.astype(lg.isnan(x), "int32"), lg.maximum(lg.isnan(x), x), lg.minimum(lg.isnan(x), -1)),
        wait=True,
    )
    signed, unsigned, least = fast(np.array([0, 2**32 - 1], "uint32"))
    assert fast.is_native
    assert [0, 0] == signed.tolist()
    assert [0, 2**32 - 1] == unsigned.tolist()
    assert [-1, -1] == least.tolist()
