"""Law 4. NumPy's dtypes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ways import four_ways

import lazygrad as lg
from lazygrad.define import elementwise
from lazygrad.graph.tensor import Array

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail


NUMPY = tuple(int(part) for part in np.__version__.split(".")[:2])
DTYPES = ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64"]
NUMBERS = [True, 2, 0.5, np.float32(0.5), np.float64(0.5), np.int8(2), np.int64(2), np.bool_(True)]
OPERATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: a * b, lambda a, b: a * b),
    "/": (lambda a, b: a / b, lambda a, b: a / b),
    "//": (lambda a, b: a // b, lambda a, b: a // b),
    "%": (lambda a, b: a % b, lambda a, b: a % b),
    "**": (lambda a, b: a**b, lambda a, b: a**b),
    "<": (lambda a, b: a < b, lambda a, b: a < b),
    ">=": (lambda a, b: a >= b, lambda a, b: a >= b),
    "equal": (lambda a, b: lg.equal(a, b), lambda a, b: np.equal(a, b)),
    "maximum": (lambda a, b: lg.maximum(a, b), lambda a, b: np.maximum(a, b)),
    "where": (lambda a, b: lg.where(a > 0, a, b), lambda a, b: np.where(a > 0, a, b)),
}


def same_as_numpy(env: lg.VariableEnvironment, name: str, a: Any, b: Any) -> None:
    """Value and dtype of an operation are NumPy's, or both refuse it; the dtype is known beforehand."""
    ours, numpys = OPERATIONS[name]
    declared = []

    def step(ctx: lg.Context, a: Any, b: Any) -> Any:
        y = ours(a, b)
        declared.append(y.dtype)
        return y

    try:
        with np.errstate(all="ignore"):
            expected = np.asarray(numpys(a, b))
    except TypeError:
        with pytest.raises(lg.SpecError):
            env.run(step, a, b)
        return
    found = env.run(step, a, b)
    if name == "**" and NUMPY < (2, 2) and isinstance(b, (np.integer, np.floating)):
        expected = np.power(a, np.full(np.shape(a), b))  # some powers were computed in the dtype of the base alone
    assert expected.dtype == found.dtype == declared[0]
    np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize("name", OPERATIONS)
def test_two_arrays_promote_as_in_numpy(name: str) -> None:
    """Every pair of dtypes, in both orders."""
    env = lg.VariableEnvironment()
    for a, b in itertools.product(DTYPES, DTYPES):
        same_as_numpy(env, name, np.array([1, 0, 3]).astype(a), np.array([1, 1, 2]).astype(b))


@pytest.mark.parametrize("name", OPERATIONS)
def test_numbers_promote_as_in_numpy(name: str) -> None:
    """Python numbers are weak, NumPy's are not; on either side."""
    env = lg.VariableEnvironment()
    for dtype, number in itertools.product(DTYPES, NUMBERS):
        array = np.array([1, 0, 3]).astype(dtype)
        same_as_numpy(env, name, array, number)
        if name != "where":
            same_as_numpy(env, name, number, np.array([1, 2, 3]).astype(dtype))


def test_a_comparison_takes_python_numbers_beyond_the_range_of_the_dtype() -> None:
    """As NumPy's comparisons do, alone among its functions."""
    env = lg.VariableEnvironment()
    for number in (-1, 300, -(2**40), 2**70):
        for name in ("<", ">=", "equal"):
            same_as_numpy(env, name, np.array([0, 7, 255], "uint8"), number)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_gradient_has_the_dtype_of_what_it_is_taken_for(dtype: str) -> None:
    """Also where the loss, or another operand, has another dtype."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, x: Any, other: Any) -> Any:
        losses = [lg.sum(x * other), lg.sum((x.astype("float64") * other).astype("float32")), lg.mean(x**2) * other[0]]
        return [lg.grad(loss, [x, other]) for loss in losses]

    for wide in ("float16", "float32", "float64"):
        for gx, gother in env.run(step, np.ones(3, dtype), np.ones(3, wide)):
            assert (gx.dtype, gother.dtype) == (np.dtype(dtype), np.dtype(wide))


@elementwise(vjp=lambda g, y, x: g * np.float64(2))
def doubled(xp: Any, x: Array) -> Any:
    """Twice x; its derivative is written carelessly, in double precision."""
    return x + x


def test_a_gradient_keeps_its_dtype_through_a_careless_rule() -> None:
    """The engine casts what a rule gives to the dtype of its operand."""
    env = lg.VariableEnvironment()
    g = env.run(lambda ctx, x: lg.grad(lg.sum(doubled(doubled(x))), x), np.ones(2, "float32"))
    assert (g.dtype, g.tolist()) == (np.dtype("float32"), [4.0, 4.0])


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float32", "float64"])
def test_assigning_casts_to_the_dtype_of_the_variable(dtype: str) -> None:
    """By an update, under run and compile, and by setting."""
    env = lg.VariableEnvironment()
    env.name("v").set(np.zeros(3, dtype))

    def step(ctx: lg.Context, x: Any) -> Any:
        return ctx.assign("v", x)

    x = np.array([1.5, -2.5, 0.0])
    for _ in four_ways(env, step, x):
        assert env["v"].dtype == dtype
        np.testing.assert_array_equal(env["v"], x.astype(dtype))
        env["v"] = [7.25, 0.0, 1.0]
        np.testing.assert_array_equal(env["v"], np.array([7.25, 0.0, 1.0]).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_of_the_environment_is_for_what_has_none(dtype: str) -> None:
    """Draws, placeholders, made arrays and Python floats get it; arrays and whole numbers keep theirs."""
    env = lg.VariableEnvironment(dtype=dtype)
    other = "float64" if dtype == "float32" else "float32"
    found = {}

    def step(ctx: lg.Context) -> Any:
        found["draw"] = ctx.random.normal(3)
        found["placeholder"] = ctx.placeholder("x", 3)
        found["number"] = ctx.constant(0.5)
        found["list"] = ctx.constant([0.5, 1.5])
        found["zeros"] = lg.zeros(3)
        assert {t.dtype for t in found.values()} == {np.dtype(dtype)}
        assert ctx.constant(np.ones(3, other)).dtype == other
        assert ctx.constant(3).dtype == "int64"
        return found["draw"]

    env.run(step)
    assert env.name("list").set([0.5]).dtype == dtype
    assert env.name("array").set(np.ones(3, other)).dtype == other
    assert env.name("whole").set([1, 2]).dtype == "int64"
