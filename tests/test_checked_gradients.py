"""``check="gradient"`` where differences are hard to take: kinks, short floats, small slopes, what is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

X = np.ones((5, 3), "f4")


def checked(formula: Callable[[Any, Any], Any], w: Any, x: Any = X, **settings: Any) -> Any:
    """What a step of one variable returns, whose gradient is compared first."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(w)
    return env.run(lambda ctx, x: formula(ctx.variable("w"), x), x, check="gradient", **settings)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_of_every_width_are_compared_in_float64(dtype: str) -> None:
    """Casts to shorter ones on the way, in a loop too, round neither."""

    def formula(w: Any, x: Any) -> Any:
        short = lg.square(w.astype("float16") * x)
        turns = lg.scan(lambda c, row: (lg.tanh(c + row).astype("float16").astype(c.dtype), None), short[0], short)
        return lg.sum(turns[0].astype("float32"))

    checked(formula, np.array([0.5, 1.0, 0.7], dtype), X.astype(dtype))


def test_what_is_no_float_is_cast_to_one() -> None:
    """A mask and labels, in a loop too: they are not left what they were."""

    def formula(w: Any, x: Any) -> Any:
        mask = (x > 0).astype("float32")
        turns = lg.scan(lambda c, row: (c * ((row > 0).astype("float32") - 2.0), None), w, mask)
        return lg.sum((1.0 - mask) * w) + lg.sum(turns[0] * lg.asarray([1, 2, 3]).astype("float32") ** -1)

    checked(formula, np.array([0.5, 1.0, 0.7], "f4"))


@pytest.mark.parametrize(
    "formula",
    [
        lambda w, x: lg.sum(lg.nn.relu(w * x)),
        lambda w, x: lg.max(w * x),
        lambda w, x: lg.sum(lg.abs(w) - lg.nn.relu(w[::-1])),
        lambda w, x: lg.sum(lg.sort(w) * np.arange(3, dtype="f4")),
    ],
)
def test_a_kink_is_no_wrong_gradient(formula: Any) -> None:
    """The slopes on both sides differ there, and beside it the gradient is right."""
    checked(formula, np.zeros(3, "f4"))


@lg.define.elementwise(vjp=lambda g, y, x: 3.0 * g * (x > 0))
def bent(xp: Any, x: Any) -> Any:
    """The positive part, with a derivative that is not its own."""
    return xp.maximum(x, 0)


def test_a_wrong_gradient_at_a_kink_is_told() -> None:
    """It is wrong beside it as well."""
    with pytest.raises(lg.GradientError, match="is not that of the loss"):
        checked(lambda w, x: lg.sum(bent(w * x)), np.zeros(3, "f4"))


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e10])
def test_the_size_of_a_loss_does_not_hide_a_wrong_gradient(scale: float) -> None:
    """Nor is a right one blamed beside a large constant."""
    w = np.array([1.0, 2.0, 3.0])
    with pytest.raises(lg.GradientError, match="is not that of the loss"):
        checked(lambda w, x: scale * lg.sum(lg.stop_gradient(w) * w), w)
    checked(lambda w, x: scale * lg.sum(w * w), w)
    checked(lambda w, x: 1e-3 * scale * lg.sum(w * x) + 1e9 * scale, w)


@pytest.mark.parametrize("start", [np.nan, 1000.0, -1.0])
def test_what_is_not_finite_cannot_be_compared(start: float) -> None:
    """It says so, in place of comparing NaN with NaN; an infinite slope of a finite loss too."""
    w = np.array([start, 2.0, 3.0], "f4")
    with pytest.raises(lg.GradientError, match="cannot be compared: it is not finite"):
        checked(lambda w, x: lg.sum(lg.exp(w)) + lg.sum(lg.sqrt(w + 1.0)), w)


def test_the_loss_is_what_is_called_so() -> None:
    """Else the first number that depends on a trainable variable; an accuracy before it does not."""

    def formula(w: Any, x: Any) -> Any:
        return {"accuracy": lg.mean((x > 0).astype("float32")), "sum": lg.sum(w * w)}

    checked(formula, np.ones(3))

    def wrong(w: Any, x: Any) -> Any:
        return {"sum": lg.sum(w * w), "loss": lg.sum(lg.stop_gradient(w) * w)}

    with pytest.raises(lg.GradientError, match="is not that of the loss"):
        checked(wrong, np.ones(3))


def test_a_variable_without_numbers_has_nothing_to_compare() -> None:
    """And no warning of NumPy's."""
    assert 3.0 == checked(lambda w, x: lg.sum(w) + 3.0, np.zeros(0, "f4"))


def test_a_step_that_evaluates_within_is_told_what_the_check_wants() -> None:
    """It has no values yet, as the gradient is written behind what it returns."""
    with pytest.raises(lg.TraceError) as raised:
        checked(lambda w, x: float(lg.sum(w).eval()), np.ones(3))
    assert ['check="gradient" looks at the loss that a step returns.'] == raised.value.__notes__
