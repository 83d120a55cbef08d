"""Categories of a column as whole numbers, for an embedding."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from snapshots import at, snapshot

import lazygrad as lg

CITIES = ["Rome", "Oslo", "Rome", "Bern", "Oslo", "Rome"]
CODES = [2, 1, 2, 0, 1, 2]

COLUMNS: dict[str, Any] = {
    "a list": CITIES,
    "an array": np.array(CITIES),
    "objects": np.array(CITIES, object),
    "text of pandas": pd.Series(CITIES, name="city"),
    "categories of pandas": pd.Series(CITIES, dtype="category"),
    "an index": pd.Index(CITIES),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_categories_have_numbers_from_0_on(name: str) -> None:
    """Sorted, or in the order of the dtype; the same for new data, whatever they come in."""
    categories = lg.Categories(COLUMNS[name])
    assert ["Bern", "Oslo", "Rome"] == list(categories)
    for column in COLUMNS.values():
        found = categories.codes(column)
        assert (np.int64, CODES) == (found.dtype, found.tolist())
    assert [2] == categories.codes(["Rome"]).tolist()


def test_the_order_of_a_dtype_is_kept_and_what_was_not_seen_has_no_number() -> None:
    """Of all categories that pandas knows, those of the column count."""
    sizes = pd.Categorical(["small", "large", "small"], ["tiny", "small", "large"], ordered=True)
    assert ["small", "large"] == list(lg.Categories(pd.Series(sizes)))
    assert [1, 0] == lg.Categories(pd.Series(sizes)).codes(["large", "small"]).tolist()


@pytest.mark.parametrize("values", [[3, 1, 3], [True, False], [1.5, 0.5], [1, "a", 2, "b"], [("a", 1), ("b", 0)]])
def test_anything_that_can_be_compared_may_be_a_category(values: list[Any]) -> None:
    """Numbers too; kinds that have no order stand beside one another."""
    categories = lg.Categories(values)
    assert set(values) == set(categories)
    names = list(categories)
    assert values == [names[code] for code in categories.codes(values)]


def test_they_are_kept_as_their_names(tmp_path: Any) -> None:
    """In any file, and pickled."""
    categories = lg.Categories(["b", "a"], name="kind")
    again = lg.Categories.named(json.loads(json.dumps(list(categories))))
    assert (
        [1, 0] == again.codes(["b", "a"]).tolist() == pickle.loads(pickle.dumps(categories)).codes(["b", "a"]).tolist()
    )
    assert ["b", "a"] == list(lg.Categories.named(["b", "a"]))
    assert "<2 categories of column 'kind': 'a', 'b'>" == repr(categories)
    with pytest.raises(lg.DataError, match="the category 'a' stands twice"):
        lg.Categories.named(["a", "b", "a"])


def test_a_category_that_was_not_seen_is_told_with_column_row_and_value() -> None:
    """And what was meant, if it is near."""
    city = lg.Categories(pd.Series(CITIES, name="city"))
    new = pd.DataFrame({"city": ["Oslo", "Roma", "Paris"]})
    with pytest.raises(lg.DataError) as caught:
        city.codes(new["city"])
    assert str(caught.value) == (
        "column 'city' has a category that was not seen in training\n\n"
        f"{at(test_a_category_that_was_not_seen_is_told_with_column_row_and_value, 'city.codes' + '(new')}\n\n"
        "    'Roma', in row 1\n"
        "    Rows with such a category:  2 of 3.\n"
        "    Did you mean 'Rome'?\n"
        "    Categories are fixed by the column that they were made of: train with more, or leave such rows out."
    )
    with pytest.raises(lg.DataError, match="There are: 1, 2"):
        lg.Categories([1, 2]).codes([3])


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT], ids=str)
def test_what_is_missing_is_no_category(missing: Any) -> None:
    """In training and later."""
    column = pd.Series(["a", missing], dtype=object, name="kind")
    for call in (lambda: lg.Categories(column), lambda: lg.Categories(["a", "b"]).codes(column)):
        with pytest.raises(lg.DataError, match="column 'kind' has no category in row 1"):
            call()


@pytest.mark.parametrize("given", [pd.DataFrame({"a": ["x"]}), "text", 3, np.array([["x"]]), {"a": 1}], ids=str)
def test_what_is_no_column_is_refused(given: Any) -> None:
    """And a column without elements."""
    with pytest.raises(lg.DataError, match="categories are made of one column"):
        lg.Categories(given)
    with pytest.raises(lg.DataError, match="column 'b' has no categories: it is empty"):
        lg.Categories(pd.Series([], dtype=object, name="b"))


def test_categories_come_to_an_embedding_in_one_line() -> None:
    """Its size is theirs; a training on a table that has one not seen changes nothing."""
    table = pd.DataFrame({"city": CITIES, "age": np.arange(6) / 6, "y": [2.0, 1, 2, 0, 1, 2]})
    env = lg.VariableEnvironment(seed=0)
    city = lg.Categories(table["city"])
    embed = lg.nn.Embedding(env, city, 1)
    adam = lg.optim.Adam(env, 0.1)

    @env.compile
    def step(ctx: Any, city: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(embed(city)[:, 0] - y))
        return loss, adam.minimize(loss)

    lg.fit(step, {"city": city.codes(table["city"]), "y": table["y"]}, epochs=200, batch_size=6)
    np.testing.assert_allclose(embed.weight.value[:, 0], [0, 1, 2], atol=0.02)
    before = snapshot(env)
    with pytest.raises(lg.DataError, match="column 'city'"):
        lg.fit(step, {"city": table["city"], "y": table["y"]}, epochs=1, batch_size=6)
    assert before == snapshot(env)
