"""Reading kernels by running them, and the programs that come of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.numpy import NumpyNamespace
from lazygrad.define import Array, elementwise
from lazygrad.engine.trace.recorder import NotRecorded, Recorder, Value
from lazygrad.graph.spec import Spec


def value(recorder: Recorder, *shape: int, dtype: Any = "f4") -> Value:
    """A value of this spec."""
    return Value(recorder, Spec(shape, np.dtype(dtype)))


def test_a_kernel_is_written_down_as_the_calls_it_makes() -> None:
    """Running the formula of sigmoid gives its three ufuncs, in order."""
    recorder = Recorder(NumpyNamespace())
    x = value(recorder, 3)
    result = 0.5 * recorder.tanh(0.5 * x) + 0.5
    assert [call.name for call in recorder.calls] == ["multiply", "tanh", "multiply", "add"]
    assert result.spec == Spec((3,), np.dtype("f4"))


def test_python_numbers_are_weak() -> None:
    """A number in a kernel takes the dtype of the array beside it."""
    recorder = Recorder(NumpyNamespace())
    result = 2.5 * value(recorder, 2, dtype="f2")
    assert result.dtype == np.float16


def test_a_kernel_that_asks_for_a_value_is_not_recorded() -> None:
    """``if x > 0`` cannot be written down."""
    recorder = Recorder(NumpyNamespace())
    with pytest.raises(NotRecorded):
        bool(value(recorder, 2) > 0)


def test_an_unknown_function_is_not_recorded() -> None:
    """A function that cannot write into an array is not recorded."""
    with pytest.raises(NotRecorded):
        Recorder(NumpyNamespace()).linalg.svd(None)


def twice(step: Any, *arrays: Any) -> tuple[Any, Any]:
    """What a step gives interpreted, and what its program gives."""
    env = lg.VariableEnvironment()
    return env.run(step, *arrays), env.run(step, *arrays)


SPECIAL = [0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_where_chooses_every_bit(dtype: str) -> None:
    """The choice on bits keeps the sign of zero and NaN, and equals NumPy's."""
    a = np.array(SPECIAL, dtype)
    b = a[::-1].copy()
    condition = np.array([True, False, True, False, True, False, False])
    for step in (
        lambda ctx, c, a, b: lg.where(c, a, b),
        lambda ctx, c, a, b: lg.where(c, a, 0),
        lambda ctx, c, a, b: lg.where(c, 0, b),
    ):
        first, second = twice(step, condition, a, b)
        assert first.tobytes() == second.tobytes()
    assert (
        np.where(condition, a, b).tobytes()
        == twice(lambda ctx, c, a, b: lg.where(c, a, b), condition, a, b)[1].tobytes()
    )


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u8"])
def test_where_chooses_whole_numbers(dtype: str) -> None:
    """Whole numbers of every width and booleans are chosen alike, also with broadcasting."""
    a = np.array([[1, 0, 3]], dtype)
    b = np.array([[0], [1]], dtype)
    condition = np.array([[True, False, True], [False, True, False]])
    first, second = twice(lambda ctx, c, a, b: lg.where(c, a, b), condition, a, b)
    assert np.where(condition, a, b).tobytes() == first.tobytes() == second.tobytes()


def test_a_views_buffer_lives_as_long_as_the_view() -> None:
    """A buffer whose transpose is read later is not given away in between."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        y = (x * 2).T
        z = lg.exp(x) + 1
        return y + 1, z * z, lg.sin(z)

    x = np.arange(6, dtype="f4").reshape(2, 3)
    first, second = twice(step, x)
    assert [a.tobytes() for a in first] == [a.tobytes() for a in second]


def test_a_source_names_the_users_lines() -> None:
    """Every line of a program says where the user wrote it."""
    env = lg.VariableEnvironment()
    fast = env.compile(lambda ctx, x: lg.exp(x))
    fast(np.ones(3))
    fast(np.ones(3))
    assert "test_recorder.py:" in fast.source()
    assert "exp(x0, b1)" in fast.source()


# The one tracing.


def test_a_kernel_is_traced_once_and_read_in_every_way() -> None:
    """Its class, its cost, NumPy's program and the code of lanes are readings of the same calls."""
    runs = []

    @elementwise(vjp=lambda g, y, x: g * 2 * x)
    def counted(xp: Any, x: Array) -> Any:
        """x² + 1."""
        runs.append(type(x).__name__)
        return xp.square(x) + 1

    env = lg.VariableEnvironment()
    fast = env.compile(lambda ctx, x: (lg.sum(counted(x)), counted(x + 1)), wait=True)
    for _ in range(3):
        fast(np.ones((4, 3)))
    assert fast.is_native
    assert "square" in fast.source()
    assert 1 == runs.count("Symbol")
    assert {"Symbol", "ndarray"} == set(runs)
