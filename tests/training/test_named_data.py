"""Data in a dict, matched to the arguments of the step by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(21, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
WEIGHT = np.linspace(0.5, 2, 21, dtype="float32").reshape(-1, 1)


def trained(step_of: Callable[[Any], Callable[..., Any]], data: Any, compiled: bool = True, **settings: Any) -> Any:
    """The losses and variables after two epochs with a step that ``step_of`` makes of a function (x, y, weight)."""
    env = lg.VariableEnvironment(seed=0)
    line = lg.nn.Linear(env, 3, 1)
    sgd = lg.optim.SGD(env, 0.05)

    def found(x: Any, y: Any, weight: Any = 1.0, train: bool = True) -> Any:
        loss = lg.mean(weight * lg.square(line(x) - y))
        return (loss, sgd.minimize(loss)) if train else loss

    step = step_of(found)
    history = lg.fit(env.compile(step) if compiled else step, data, epochs=2, batch_size=8, env=env, **settings)
    return {name: list(values) for name, values in history.items()}, line.weight.value.tolist()


STEPS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "plain": lambda f: lambda ctx, x, y, weight: f(x, y, weight),
    "other order": lambda f: lambda ctx, weight, y, x: f(x, y, weight),
    "with train": lambda f: lambda ctx, x, train, y, weight: f(x, y, weight, train),
    "keyword only": lambda f: lambda ctx, x, *, weight, y: f(x, y, weight),
    "any names": lambda f: lambda ctx, x, **rest: f(x, rest["y"], rest["weight"]),
    "all names": lambda f: lambda ctx, **batch: f(**batch),
    "a gap": lambda f: lambda ctx, x, unused=None, y=None, weight=None: f(x, y, weight),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_a_dict_is_matched_by_name(name: str, compiled: bool) -> None:
    """Whatever the order of the dict, and however the step takes its arguments."""
    expected = trained(STEPS["plain"], (X, Y, WEIGHT), compiled)
    for data in ({"x": X, "y": Y, "weight": WEIGHT}, {"weight": WEIGHT, "y": Y, "x": X}):
        losses, weights = trained(STEPS[name], data, compiled)
        np.testing.assert_allclose(expected[0]["loss"], losses["loss"], rtol=1e-5)
        np.testing.assert_allclose(expected[1], weights, rtol=1e-5)


def test_arguments_with_defaults_may_have_no_data() -> None:
    """They keep their defaults."""
    expected = trained(lambda f: lambda ctx, x, y: f(x, y), (X, Y))
    assert expected == trained(lambda f: lambda ctx, x, weight=1.0, y=None: f(x, y, weight), {"y": Y, "x": X})


def test_a_step_without_names_takes_a_dict_in_its_order() -> None:
    """As it takes a tuple."""
    assert trained(lambda f: lambda ctx, *arrays: f(*arrays), (X, Y)) == trained(
        lambda f: lambda ctx, *arrays: f(*arrays), {"a": X, "b": Y}
    )


@pytest.mark.parametrize("held_out", [(X, Y), {"x": X, "y": Y}, {"y": Y, "x": X}])
@pytest.mark.parametrize("data", [(X, Y), {"y": Y, "x": X}])
def test_data_for_validation_are_matched_too(data: Any, held_out: Any) -> None:
    """In another order than the data, or without names."""
    steps: list[Callable[[Any], Callable[..., Any]]] = [lambda f: lambda ctx, x, y, train: f(x, y, train=train)] * 2
    expected = trained(steps[0], (X, Y), validation=(X, Y))
    assert expected == trained(steps[1], data, validation=held_out)


def test_names_that_do_not_fit_are_told() -> None:
    """Those that are missing and those that are unknown, before anything is trained."""
    env = lg.VariableEnvironment(seed=0)
    w = env.name("w").set(np.ones(3, "float32"))
    sgd = lg.optim.SGD(env, 0.05)

    @env.compile
    def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
        return sgd.minimize(lg.mean(lg.square(x @ ctx.variable(w) - y)))

    with pytest.raises(lg.DataError) as refused:
        lg.fit(step, {"x": X, "target": Y, "train": Y}, epochs=1)
    lines = str(refused.value).splitlines()
    assert "the data do not fit step" == lines[0]
    assert [
        "    data:     x, target, train",
        "    step:     step(ctx, x, y)",
        "    missing:  y",
        "    unknown:  target, train",
        "    The keys of a dict of data are the names of the step's arguments.",
    ] == lines[-5:]
    with pytest.raises(lg.DataError, match=r"(?s)do not fit <lambda>.*missing:  x\n"):
        lg.fit(
            step,
            {"x": X, "y": Y[:, 0]},
            epochs=1,
            batch_size=7,
            validation={"y": Y},
            evaluate=lambda ctx, x, y: lg.mean(x),
        )
    assert [1.0, 1.0, 1.0] == w.value.tolist()


def test_a_label_out_of_range_is_told_by_its_name() -> None:
    """Also where the step takes it by name alone."""
    env = lg.VariableEnvironment(seed=0)
    line = lg.nn.Linear(env, 3, 2)
    sgd = lg.optim.SGD(env, 0.05)

    @env.compile
    def step(ctx: Any, x: Any, *, label: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(line(x), label))
        return loss, sgd.minimize(loss)

    with pytest.raises(lg.DataError, match="label has a label that is out of range"):
        lg.fit(step, {"label": np.arange(21), "x": X}, epochs=1, batch_size=7)
