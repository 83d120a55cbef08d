"""What steps take beside arrays of NumPy: tables, arrays that are lent by a protocol; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg

pd = pytest.importorskip("pandas")


class Lent:
    """An array of another library, which has DLPack alone."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class LentOfOld(Lent):
    """With the first version of the protocol."""

    def __dlpack__(self, stream: Any = None) -> Any:
        return self.array.__dlpack__()


class Torch(Lent):
    """A tensor of PyTorch on the CPU has both protocols."""

    def __array__(self, dtype: Any = None) -> Any:
        return self.array


class Tracked(Torch):
    """One that is differentiated gives its numbers by neither."""

    def __array__(self, dtype: Any = None) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def __dlpack__(self, **kwargs: Any) -> Any:
        raise BufferError("Can't export tensors that require gradient")


class Frame:
    """A data frame of polars."""

    def __init__(self, columns: dict[str, Any], dtypes: Any = None) -> None:
        self.columns = list(columns)
        self.dtypes = dtypes or ["Float64"] * len(columns)
        self.array = np.stack([np.asarray(column) for column in columns.values()], axis=1)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array

    def to_numpy(self) -> Any:
        return self.array


X, WHOLE, TRUE = np.array([1.5, -2.0, 4.0]), np.array([1, 2, 3]), np.array([True, False, True])
TABLE = pd.DataFrame({"a": X, "b": WHOLE, "c": TRUE})
GIVEN: dict[str, tuple[Any, Any]] = {
    "frame": (TABLE[["a", "b"]], np.stack([X, WHOLE], 1)),
    "frame with truth": (TABLE, np.stack([X, WHOLE, TRUE], 1)),
    "series": (TABLE["a"], X),
    "series of truth": (TABLE["c"], TRUE),
    "index": (pd.Index(WHOLE), WHOLE),
    "nullable": (pd.Series(WHOLE, dtype="Int64"), WHOLE),
    "nullable floats": (pd.DataFrame({"a": pd.Series(X, dtype="Float64"), "b": WHOLE}), np.stack([X, WHOLE], 1)),
    "nullable truth": (pd.Series(TRUE, dtype="boolean"), TRUE),
    "all nullable": (TABLE.convert_dtypes(), np.stack([X, WHOLE, TRUE], 1)),
    "objects": (pd.Series(X, dtype=object), X),
    "lent": (Lent(X), X),
    "lent truth": (Lent(TRUE), TRUE),
    "lent of old": (LentOfOld(WHOLE), WHOLE),
    "torch": (Torch(X.reshape(1, 3)), X.reshape(1, 3)),
    "polars": (Frame({"a": X, "b": X}), np.stack([X, X], 1)),
}
try:
    GIVEN["arrow floats"] = (pd.Series(X, dtype="float64[pyarrow]"), X)
    GIVEN["arrow frame"] = (
        pd.DataFrame({"b": pd.Series(WHOLE, dtype="int64[pyarrow]"), "c": pd.Series(TRUE, dtype="bool[pyarrow]")}),
        np.stack([WHOLE, TRUE], 1),
    )
except ImportError:
    pass  # pyarrow is no dependency


def ways(env: lg.VariableEnvironment, step: Any, given: Any) -> list[Any]:
    """Run, compiled, compiled again, and nested in a dict."""
    fast, nested = env.compile(step), env.compile(lambda ctx, batch: step(ctx, batch["x"][0]))
    return [env.run(step, given), fast(given), fast(given), nested({"x": [given]})]


@pytest.mark.parametrize("name", GIVEN)
def test_a_step_takes_arrays_of_others(name: str) -> None:
    """As an argument, run and compiled; as a feed, a constant, new numbers, and data of fit."""
    given, expected = GIVEN[name]
    env = lg.VariableEnvironment(dtype="float64")
    for found in ways(env, lambda ctx, x: x + 0.0, given):
        np.testing.assert_array_equal(expected, found)
    for found in ways(env, lambda ctx, x: x, given):
        assert expected.dtype.kind in (found.dtype.kind, "f" if "all" in name or "truth" in name else "b", "i")

    def fed(ctx: lg.Context) -> Any:
        return ctx.placeholder("p", expected.shape) * 1.0

    np.testing.assert_array_equal(expected, env.run(fed, feeds={"p": given}))
    np.testing.assert_array_equal(expected, env.compile(fed)(feeds={"p": given}))
    np.testing.assert_array_equal(expected, env.run(lambda ctx: ctx.constant(given) + 0.0))
    v = env.name("v").set(given)
    env["v"] = given
    np.testing.assert_array_equal(expected, v.value)
    assert len(expected) == sum(len(batch) for (batch,) in lg.batches(given, 1))


def test_an_array_that_was_lent_is_read_anew_at_each_call() -> None:
    """Its numbers are not part of what was traced; those of other shapes are traced anew."""
    env = lg.VariableEnvironment(dtype="float64")
    w = env.name("w").set(np.zeros(3))
    step = env.compile(lambda ctx, x: (lg.sum(x), ctx.assign(w, x[:3])))
    for k in range(3):
        assert 6.0 * k == step(Lent(k * np.array([1.0, 2.0, 3.0])))[0]
        assert [k, 2 * k, 3 * k] == w.value.tolist()
    assert 10.0 == step(Lent(np.array([1.0, 2.0, 3.0, 4.0])))[0]


DATES = pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"])
REFUSED: dict[str, tuple[Any, str]] = {
    "text": (pd.DataFrame({"a": X, "city": ["x", "y", "z"]}), "row 0, column 1 ('city'):  'x'"),
    "missing": (pd.DataFrame({"n": pd.Series([1, None, 3], dtype="Int64")}), "row 1, column 0 ('n'):  <NA>"),
    "categories": (
        pd.DataFrame({"a": X, "city": pd.Series(["x", "y", "z"], dtype="category")}),
        "column 'city':  category, as whole numbers: lg.Categories(column).codes(column)",
    ),
    "a series": (pd.Series(["x", "y"], dtype="category", name="city"), "column 'city':  category, as whole numbers"),
    "dates": (pd.DataFrame({"when": DATES}), "column 'when':  datetime64["),
    "complex": (pd.DataFrame({"a": X, "z": 1j * X}), "column 'z':  complex128"),
    "polars": (
        Frame({"a": X.astype(object), "kind": ["x", "y", "z"]}, ["Float64", "Categorical"]),
        "column 'kind':  Categorical, as whole numbers",
    ),
    "tracked": (Tracked(X), "Can't call numpy() on Tensor that requires grad."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_by_column(name: str) -> None:
    """At every door with the same facts, and nothing is changed."""
    given, said = REFUSED[name]
    env = lg.VariableEnvironment()
    w = env.name("w").set([1.0, 2.0, 3.0])

    def step(ctx: lg.Context, x: Any) -> Any:
        return ctx.assign(w, lg.reshape(x, (-1,))[:3])

    for call in (lambda: env.run(step, given), lambda: env.compile(step)(given), lambda: env.name("v").set(given)):
        with pytest.raises(lg.SpecError) as refused:
            call()
        assert any(line.strip().startswith(said) for line in str(refused.value).splitlines())
    if name not in ("missing", "tracked", "text"):
        with pytest.raises(lg.DataError) as told:
            lg.batches(given, 1)
        assert said in str(told.value)
    if name != "tracked":
        with pytest.raises(lg.DataError):
            lg.batches(given, 1)
    assert [1.0, 2.0, 3.0] == w.value.tolist()


def test_what_cannot_be_hashed_is_told_in_one_form() -> None:
    """A view of memory is refused as a set is."""
    env = lg.VariableEnvironment()
    for given in ({1, 2}, memoryview(bytearray(3))):
        with pytest.raises(lg.TraceError, match=f"cannot compile for an argument of type {type(given).__name__}"):
            env.compile(lambda ctx, x: lg.asarray(1.0))(given)
