"""Tables of pandas, polars and Arrow in ``fit`` and in compiled steps, columns by name."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

pd = pytest.importorskip("pandas")

ROWS = 40
COLUMNS = {
    "a": np.arange(ROWS) / ROWS,
    "b": np.arange(ROWS) % 3,
    "c": np.arange(ROWS, dtype="float32") / ROWS,
    "kind": ["x", "y"] * (ROWS // 2),
}


def table(library: str, columns: dict[str, Any]) -> Any:
    """A table of this library, if it is installed."""
    if library == "pandas":
        return pd.DataFrame(columns)
    if library == "pandas with Arrow":
        pytest.importorskip("pyarrow")
        return pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow")
    made = {"polars": "DataFrame", "pyarrow": "table"}
    return getattr(pytest.importorskip(library), made[library])(columns)


def chosen(frame: Any, *names: str) -> Any:
    """Some columns of a table."""
    return frame.select(list(names)) if hasattr(frame, "select") else frame[list(names)]


def missing(columns: dict[str, Any], where: str) -> dict[str, Any]:
    """The same with nothing in row 3 of a column."""
    return columns | {where: [None if row == 3 else value for row, value in enumerate(columns[where].tolist())]}


LIBRARIES = ["pandas", "polars", "pyarrow", "pandas with Arrow"]


@pytest.fixture
def trained() -> Any:
    """A function that trains on data and gives the losses."""

    def train(data: Any) -> Any:
        env = lg.VariableEnvironment(seed=0)
        line = lg.nn.Linear(env, 2, 1)
        sgd = lg.optim.SGD(env, 0.1)

        def step(ctx: Any, x: Any, y: Any) -> Any:
            loss = lg.mean(lg.square(line(x)[:, 0] - y))
            return loss, sgd.minimize(loss)

        return lg.fit(step, data, epochs=2, env=env, batch_size=16, seed=0)["loss"]

    return train


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_of_a_table_are_data_by_name(trained: Any, library: str) -> None:
    """The same as their numbers; a step takes them as well, run and compiled."""
    frame = table(library, COLUMNS)
    x, y = np.stack([COLUMNS["a"], COLUMNS["b"]], axis=1), COLUMNS["c"]
    assert trained((x, y)) == trained({"y": frame["c"], "x": chosen(frame, "a", "b")})
    env = lg.VariableEnvironment(dtype="float64")
    compiled = env.compile(lambda ctx, x, y: x * lg.expand_dims(y, 1))
    for call in (compiled, compiled, lambda *xs: env.run(lambda ctx, x, y: x * lg.expand_dims(y, 1), *xs)):
        np.testing.assert_allclose(x * y[:, None], call(chosen(frame, "a", "b"), frame["c"]))
    by_name = env.compile(lambda ctx, batch: batch["x"] * lg.expand_dims(batch["y"], 1))
    np.testing.assert_allclose(x * y[:, None], by_name({"x": chosen(frame, "a", "b"), "y": frame["c"]}))


@pytest.mark.parametrize("library", LIBRARIES)
def test_text_is_refused_by_column_with_its_dtype_and_the_cure(trained: Any, library: str) -> None:
    """At both doors."""
    frame = table(library, COLUMNS)
    env = lg.VariableEnvironment()
    for call, kind in [
        (lambda: trained({"x": chosen(frame, "a", "kind"), "y": frame["c"]}), lg.DataError),
        (lambda: env.compile(lambda ctx, x: lg.sum(x))(chosen(frame, "a", "kind")), lg.SpecError),
    ]:
        with pytest.raises(kind) as caught:
            call()
        (line,) = [line.strip() for line in str(caught.value).splitlines() if "column 'kind':" in line]
        assert line.endswith(", of categories as whole numbers: lg.Categories(column).codes(column)")
        assert "str" in line.casefold()
        assert "column 1 ('kind')" in str(caught.value)


@pytest.mark.parametrize("library", ["polars", "pyarrow", "pandas with Arrow"])
def test_what_is_null_is_missing_and_not_nan(trained: Any, library: str) -> None:
    """By row and column, of a table and of a column, of floats and of whole numbers, in fit and in steps."""
    env = lg.VariableEnvironment()
    for name, place in (("a", 0), ("b", 1)):
        frame = table(library, missing(COLUMNS, name))
        with pytest.raises(lg.DataError, match=rf"x has no number in row 3, column {place} \('{name}'\)"):
            trained({"x": chosen(frame, "a", "b"), "y": frame["c"]})
        for given, said in ((chosen(frame, "a", "b"), f"row 3, column {place} ('{name}'):"), (frame[name], "row 3:")):
            with pytest.raises(lg.SpecError) as caught:
                env.compile(lambda ctx, x: lg.sum(x))(given)
            assert said in str(caught.value)
            assert "Fill in or leave out what is missing." in str(caught.value)


def test_a_query_of_polars_has_no_numbers_yet(trained: Any) -> None:
    """It says what to do."""
    frame = table("polars", COLUMNS)
    with pytest.raises(lg.DataError, match=r"give x\.collect\(\)"):
        trained({"x": frame.lazy().select(["a", "b"]), "y": frame["c"]})


def test_categories_of_every_library_are_alike() -> None:
    """Categorical and Enum of polars, dictionaries of Arrow, in one chunk and in several."""
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    values = COLUMNS["kind"][:5]
    encoded = arrow.array(values).dictionary_encode()
    columns = [
        polars.Series("kind", values),
        polars.Series("kind", values, dtype=polars.Categorical),
        polars.Series("kind", values, dtype=polars.Enum(["x", "y"])),
        arrow.array(values),
        encoded,
        arrow.chunked_array([encoded, encoded]).slice(0, 5),
        pd.Series(values, dtype=pd.ArrowDtype(encoded.type)),
    ]
    for one in columns:
        for other in columns:
            assert [0, 1, 0, 1, 0] == lg.Categories(one).codes(other).tolist()
    assert ["y", "x"] == list(lg.Categories(polars.Series(["x", "y"], dtype=polars.Enum(["y", "x", "z"]))))
    env = lg.VariableEnvironment()
    for column in columns[1:3] + columns[4:]:
        with pytest.raises(lg.SpecError, match=r", as whole numbers: lg\.Categories\(column\)\.codes\(column\)"):
            env.run(lambda ctx, x: x, column)


class Arrow:
    """A column of Arrow, or a table of these, by what lazygrad looks at."""

    def __init__(self, values: Any, type: str = "double") -> None:
        self.values, self.type = values, type
        self.null_count = sum(value is None for value in values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array([np.nan if value is None else value for value in self.values])

    def to_pylist(self) -> Any:
        """Its elements."""
        return list(self.values)


def test_a_column_of_arrow_is_known_where_arrow_is_not_installed() -> None:
    """By what it has: nulls, and the name of its type."""
    env = lg.VariableEnvironment(dtype="float64")
    assert [1.0, 2.0] == env.run(lambda ctx, x: x, Arrow([1.0, 2.0])).tolist()
    with pytest.raises(lg.SpecError, match="row 1:  None"):
        env.run(lambda ctx, x: x, Arrow([1.0, None]))
    with pytest.raises(lg.SpecError, match="the column:  string, of categories as whole numbers"):
        env.run(lambda ctx, x: x, Arrow(["a", "b"], "string"))
    assert [1, 0] == lg.Categories(["a", "b"]).codes(Arrow(["b", "a"], "string")).tolist()


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_of_several_dtypes_is_copied_once(trained: Any, library: str) -> None:
    """Into the array of float32 that is trained with: no second one in float64, which would be twice as large."""
    rows, columns = 50_000, 20
    rng = np.random.default_rng(0)
    given = {f"c{k}": rng.normal(size=rows) if k % 2 else rng.integers(0, 9, rows) for k in range(columns)}
    frame = table(library, given)
    tracemalloc.start()
    try:
        (found,) = lg.training.data.tables(frame, ["x"], np.dtype("float32"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(np.stack(list(given.values()), axis=1).astype("float32"), found.array)
    assert peak < 1.9 * 4 * rows * columns
