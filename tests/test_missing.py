"""What is no number among numbers: masked arrays are refused at every door, and pandas' NA is named by its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

pd = pytest.importorskip("pandas")

MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
PLAIN = np.array([1.0, 2.0, 3.0])


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with one variable."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    env.name("w").set(PLAIN)
    return env


def _set(env: Any, x: Any) -> Any:
    env["w"] = x


def _again(env: Any, x: Any) -> Any:
    """After a call with a plain array."""
    compiled = env.compile(lambda ctx, x: x * 2, wait=True)
    for _ in range(3):
        compiled(PLAIN)
    compiled(x)


DOORS: dict[str, Callable[[Any, Any], Any]] = {
    "run": lambda env, x: env.run(lambda ctx, x: x * 2, x),
    "run, nested": lambda env, x: env.run(lambda ctx, batch: batch["x"][0] * 2, {"x": [x]}),
    "compile": lambda env, x: env.compile(lambda ctx, x: x * 2)(x),
    "compile, again": _again,
    "prepare": lambda env, x: env.compile(lambda ctx, x: x * 2).prepare(x),
    "keyword": lambda env, x: env.run(lambda ctx, *, x: x * 2, x=x),
    "trace": lambda env, x: env.trace(lambda ctx, x: x * 2, x),
    "feeds": lambda env, x: env.run(lambda ctx: ctx.placeholder("x", 3) * 2, feeds={"x": x}),
    "feed": lambda env, x: env.run(
        lambda ctx: ctx.evaluator().push(ctx.placeholder("x", 3)).feed("x", x).run(),
    ),
    "constant": lambda env, x: env.run(lambda ctx: ctx.constant(x)),
    "asarray": lambda env, x: env.run(lambda ctx: lg.asarray(x)),
    "listed": lambda env, x: env.run(lambda ctx: ctx.constant([x, PLAIN])),
    "element": lambda env, x: env.run(lambda ctx: ctx.constant([1.0, x[1]])),
    "operand": lambda env, x: env.run(lambda ctx: ctx.variable("w") * x),
    "operand on the left": lambda env, x: env.run(lambda ctx: lg.multiply(x, ctx.variable("w"))),
    "listed operand": lambda env, x: env.run(lambda ctx: ctx.variable("w") * [1.0, 2.0, x[1]]),
    "concat": lambda env, x: env.run(lambda ctx: lg.concat([ctx.variable("w"), x])),
    "where": lambda env, x: env.run(lambda ctx: lg.where(ctx.variable("w") > 0, x, 0)),
    "index": lambda env, x: env.run(lambda ctx: ctx.variable("w")[x.astype(int)]),
    "mask": lambda env, x: env.run(lambda ctx: ctx.variable("w")[x > 1]),
    "at": lambda env, x: env.run(lambda ctx: ctx.variable("w").at[:].add(x)),
    "full": lambda env, x: env.run(lambda ctx: lg.full((2,), x[1])),
    "full_like": lambda env, x: env.run(lambda ctx: lg.full_like(ctx.variable("w"), x[1])),
    "assign": lambda env, x: env.run(lambda ctx: ctx.assign("w", x)),
    "register": lambda env, x: env.name("v").set(x),
    "set": _set,
    "fit": lambda env, x: lg.fit(env.compile(lambda ctx, x: (x, ctx.assign("w", x))), x, epochs=1, batch_size=1),
    "batches": lambda env, x: next(iter(lg.batches((PLAIN, x), 1))),
    "initialiser": lambda env, x: lg.nn.Linear(env, 3, 1, bias=lambda rng, shape, fans: x[:1]),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "x", [MASKED, np.ma.array(PLAIN, mask=[False, True, False]).astype("float32")], ids=["64", "32"]
)
def test_a_masked_array_is_refused(door: str, x: Any, env: lg.VariableEnvironment) -> None:
    """It is not unmasked; nothing is changed."""
    with pytest.raises(lg.LazygradError, match="masked array") as caught:
        DOORS[door](env, x)
    assert "What is masked has no number" in str(caught.value)
    assert ["w"] == [v.path for v in env]
    assert PLAIN.tolist() == env["w"].tolist()


def test_a_masked_array_of_which_nothing_is_masked_is_refused_too(env: lg.VariableEnvironment) -> None:
    """What it is must not depend on its numbers."""
    with pytest.raises(lg.SpecError, match="cannot make a tensor of a masked array"):
        env.run(lambda ctx, x: x, np.ma.array(PLAIN))


@pytest.mark.parametrize("door", ["fit", "predict"])
def test_an_estimator_refuses_masked_arrays(door: str) -> None:
    """scikit-learn would take the numbers below the mask."""
    sklearn = pytest.importorskip("lazygrad.sklearn")
    x = np.ones((8, 2))
    hidden = np.ma.masked_less(x, 2)
    model = sklearn.Regressor(epochs=1)
    call = model.fit(x, x[:, 0]).predict if door == "predict" else lambda rows: model.fit(rows, x[:, 0])
    with pytest.raises(ValueError, match="masked array"):
        call(hidden)


def test_an_estimator_names_what_is_missing_in_a_table() -> None:
    """By row and column, which scikit-learn does not."""
    sklearn = pytest.importorskip("lazygrad.sklearn")
    with pytest.raises(lg.DataError, match=r"X has no number in row 1, column 0 \('age'\)(.|\n)*X\[1, 0\] is <NA>"):
        sklearn.Regressor(epochs=1).fit(TABLE, np.ones(3))
    with pytest.raises(lg.DataError, match="y has no number in row 1"):
        sklearn.Regressor(epochs=1).fit(np.ones((3, 2)), TABLE["age"])


# pandas.

TABLE = pd.DataFrame({"age": pd.array([31, None, 40], "Int64"), "height": [1.6, 1.7, 1.8]})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (TABLE, "row 1, column 0 ('age'):  <NA>"),
        (TABLE["age"], "row 1:  <NA>"),
        (TABLE["age"].array, "row 1:  <NA>"),
        (
            pd.DataFrame({"a": [1.0, 2.0], "when": [pd.Timestamp("2026-01-01"), pd.NaT]}).iloc[1:],
            "row 0, column 1 ('when'):  NaT",
        ),
        (np.array([[1.0, 2.0], [3.0, None]], object), "row 1, column 1:  None"),
        ([[1.0, 2.0], [pd.NA, 3.0]], "row 1, column 0:  <NA>"),
        ([1, None], "row 1:  None"),
    ],
    ids=["frame", "series", "array", "NaT", "objects", "lists", "None"],
)
@pytest.mark.parametrize("door", ["run", "compile", "constant", "register", "operand"])
def test_what_is_no_number_is_named_by_row_and_column(
    value: Any, shown: str, door: str, env: lg.VariableEnvironment
) -> None:
    """Wherever it is given."""
    if isinstance(value, list) and door in ("run", "compile"):
        value = np.array(value, object)
    with pytest.raises(lg.LazygradError) as caught:
        DOORS[door](env, value)
    assert shown in str(caught.value)
    assert ["w"] == [v.path for v in env]


def test_a_feed_with_what_is_no_number_names_its_place(env: lg.VariableEnvironment) -> None:
    """Beside the name of the placeholder."""
    with pytest.raises(lg.FeedError, match=r"cannot feed 'x'(.|\n)*row 1, column 0 \('age'\):  <NA>"):
        env.run(lambda ctx: ctx.placeholder("x", (3, 2)) * 2, feeds={"x": TABLE})


def test_fit_names_what_is_missing_in_a_table(env: lg.VariableEnvironment) -> None:
    """The table, the row and the column."""
    with pytest.raises(lg.DataError) as caught:
        next(iter(lg.batches({"people": TABLE}, 1)))
    head, _, body = str(caught.value).partition("\n\n")
    assert head == "people has no number in row 1, column 0 ('age')"
    assert body.endswith("    people[1, 0] is <NA>\n    Fill in or leave out such rows before training.")


def test_a_table_of_pandas_own_dtypes_without_missing_numbers_is_one_of_numbers(env: lg.VariableEnvironment) -> None:
    """pandas keeps it as objects."""
    assert [1, 2] == env.run(lambda ctx, x: x, pd.Series([1, 2], dtype=object)).tolist()
    whole = TABLE.fillna(35)
    assert [[31, 1.6], [35, 1.7], [40, 1.8]] == env.run(lambda ctx, x: x, whole).tolist()
    assert [31, 35, 40] == env.run(lambda ctx, x: x, whole["age"]).tolist()
    assert [[40.0, 1.8]] == list(lg.batches(whole, 2, shuffle=False))[1][0].tolist()
