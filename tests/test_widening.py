"""Data of a wider dtype than the variables: it is said once that the step computes in that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg

X = np.ones((4, 3))


def of(dtype: str) -> lg.VariableEnvironment:
    """An environment with one variable, of its own dtype."""
    env = lg.VariableEnvironment(seed=0, dtype=dtype)
    env.name("w").set(np.ones((3, 1), dtype))
    return env


def step(ctx: lg.Context, x: Any) -> Any:
    """A product of data and a variable."""
    return lg.mean(x @ ctx.variable("w"))


@pytest.mark.parametrize("way", ["run", "compile"])
def test_it_is_said_once_and_names_who_meets_and_what_to_do(way: str) -> None:
    """At the first call, however the step is run; then never again in this environment."""
    env = of("float32")
    sgd = lg.optim.SGD(env, 0.1)

    def trained(ctx: lg.Context, x: Any) -> Any:
        loss = step(ctx, x)
        return loss, sgd.minimize(loss)

    fast = env.compile(trained)
    calls = {"run": lambda: env.run(step, X), "compile": lambda: fast(X)}
    lg.fit(fast, X, epochs=2, batch_size=2, progress=False)  # which casts floats by itself
    env["w"] = np.ones((3, 1))
    said = r"computes in float64: placeholder 'x' is float64, and variable 'w' is float32, as the environment is"
    with pytest.warns(RuntimeWarning, match=said) as caught:
        calls[way]()
    assert __file__ == caught[0].filename
    assert "x.astype('float32'); or make the environment lg.VariableEnvironment(dtype='float64')" in str(
        caught[0].message
    )
    for call in calls.values():  # warnings are errors here
        call()


@pytest.mark.parametrize(
    ("dtype", "x"),
    [("float32", X.astype("float32")), ("float32", X.astype("float16")), ("float64", X), ("float32", X > 0)],
    ids=["the same", "narrower", "an environment of float64", "booleans"],
)
def test_nothing_is_said_where_nothing_is_wider(dtype: str, x: Any) -> None:
    """The same dtype, a narrower one, truth."""
    of(dtype).run(lambda ctx, x: lg.mean(x.astype(dtype) @ ctx.variable("w")), x)
    of(dtype).run(lambda ctx, x: lg.mean(lg.where(x, 1.0, ctx.variable("w")[0])), x.astype(bool))
    of(dtype).run(lambda ctx, x: lg.mean(x * ctx.variable("w")[0]), x)


def test_nothing_is_said_of_a_cast_that_is_asked_for() -> None:
    """On either side."""
    env = of("float32")
    env.run(lambda ctx, x: x @ ctx.variable("w").astype("float64"), X)
    env.run(lambda ctx, x: x.astype("float32") @ ctx.variable("w"), X)
    env.run(lambda ctx, x: lg.sum(x) + np.float64(2) * lg.sum(ctx.variable("w")).astype("float64"), X)


def test_nothing_is_said_of_data_alone() -> None:
    """Without variables a step computes in the dtype of its data, as NumPy does."""
    of("float32").run(lambda ctx, x, y: x * y, X, X.astype("float32"))


def test_where_warnings_are_errors_nothing_has_changed() -> None:
    """It is raised before the step is run; the next call says it again."""
    env = of("float32")
    fast = env.compile(lambda ctx, x: ctx.assign("w", ctx.variable("w") - lg.mean(x * ctx.variable("w")[:, 0])))
    for call in (lambda: fast(X), lambda: env.run(step, X)):
        with pytest.raises(RuntimeWarning, match="computes in float64"):  # the tests make errors of them
            call()
        assert (env["w"] == 1).all()
