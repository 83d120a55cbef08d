"""Settings that are numbers of NumPy: checked, and used, as Python's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

nn, optim = lg.nn, lg.optim
G = np.arange(6.0, dtype="float32").reshape(2, 3)


def said(f: Callable[[Any], Any]) -> tuple[type, str]:
    """What a refusal is, and says first."""
    with pytest.raises(lg.LazygradError) as refused:
        f(None)
    return type(refused.value), str(refused.value).splitlines()[0]


def of_gradients(clip: Callable[[list[Any], Any], Any]) -> Callable[[Any], Any]:
    """A clipping of a gradient, run."""
    return lambda number: lg.VariableEnvironment().run(lambda ctx, g: clip([g], number), G)


REFUSED: dict[str, tuple[Callable[[Any], Any], float]] = {
    "clip_by_global_norm": (of_gradients(optim.clip_by_global_norm), -1.0),
    "clip_by_global_norm, NaN": (of_gradients(optim.clip_by_global_norm), np.nan),
    "normalize_gradient": (of_gradients(optim.normalize_gradient), -1.0),
    "clip_by_value": (of_gradients(lambda gs, number: optim.clip_by_value(gs, 1.0, number)), -1.0),
    "clip_by_value, both": (of_gradients(lambda gs, number: optim.clip_by_value(gs, number, 0.5)), 1.0),
    "learning rate": (lambda number: optim.SGD(lg.VariableEnvironment(), number), -1.0),
    "schedule": (lambda number: optim.schedules.Constant(number), np.inf),
    "initializer": (lambda number: nn.initializers.Normal(number), np.inf),
    "dropout": (lambda number: nn.Dropout(lg.VariableEnvironment(), number), 1.0),
    "eps": (lambda number: nn.LayerNorm(lg.VariableEnvironment(), 3, eps=number), -1.0),
}


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.asarray])
@pytest.mark.parametrize("name", REFUSED)
def test_a_number_of_numpy_is_refused_where_one_of_python_is(name: str, kind: Any) -> None:
    """With the same kind of error."""
    make, number = REFUSED[name]
    expected, got = said(lambda _: make(number)), said(lambda _: make(kind(number)))
    assert expected[0] is got[0]
    assert expected[1].split("(")[0].split()[:2] == got[1].split("(")[0].split()[:2]


@pytest.mark.parametrize("value", [np.float32(2), np.True_, True, np.array([2, 3]), "2", None, np.int64(0)])
def test_sizes_of_layers_are_whole_numbers(value: Any) -> None:
    """Truth values of NumPy and arrays are none, as Python's are none."""
    env = lg.VariableEnvironment()
    for make in (lambda: nn.Linear(env, value, 2), lambda: nn.Embedding(env, value, 2)):
        with pytest.raises(lg.SpecError, match="is a whole number, 1 or more, not"):
            make()
    with pytest.raises(lg.SpecError, match="is a whole number or two of them, each 1 or more, not"):
        nn.Conv2d(env, 1, 1, "2" if isinstance(value, np.ndarray) else value)
    assert [] == list(env)


@pytest.mark.parametrize("value", [np.array([0.5, 0.5]), np.complex64(0.5), "0.5"])
def test_a_rate_is_one_real_number(value: Any) -> None:
    """An array is not compared with the ends of the range."""
    with pytest.raises(lg.SpecError, match="rate is a number, not"):
        nn.Dropout(lg.VariableEnvironment(), value)


def test_a_learning_rate_is_real() -> None:
    """A complex number of NumPy is not compared either."""
    with pytest.raises(lg.SpecError, match="as learning_rate"):
        optim.SGD(lg.VariableEnvironment(), np.complex64(0.5))


def test_whole_numbers_of_numpy_count_axes_and_parts() -> None:
    """As Python's do."""
    env, x = lg.VariableEnvironment(), np.arange(12.0).reshape(3, 4)

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        product = lg.tensordot(x, lg.transpose(x), axes=np.int64(1))
        return product, lg.split(x, np.int32(2), axis=1), lg.pad(x, np.int64(1), constant_values=np.float32(0))

    product, parts, padded = env.run(step, x)
    np.testing.assert_allclose(x @ x.T, product)
    np.testing.assert_array_equal(x[:, 2:], parts[1])
    np.testing.assert_array_equal(np.pad(x, 1), padded)
