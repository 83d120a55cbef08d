"""Categories of a column as whole numbers, the same for new data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.values.tables import columns_of

__all__ = ["Categories"]


class Categories:
    """The categories of a column, each with its number: whole numbers for an embedding.

    The column is one of pandas, polars or Arrow, a NumPy array or a list, of text, numbers or anything hashable::

        city = lg.Categories(train["city"])
        embed = lg.nn.Embedding(env, city, 8)
        lg.fit(step, {"city": city.codes(train["city"]), "y": train["y"]}, epochs=10)

    The categories are those that the column has, in the order that its dtype gives them, or else sorted.
    ``list(city)`` are their names, which any file keeps; ``lg.Categories.named(names)`` makes them anew.

    Args:
        column: what is seen in training.
        name: what messages call it; that of the column, if not given.

    Raises:
        DataError: it is no column, is empty, or has an element that is missing.
    """

    def __init__(self, column: Any, name: str | None = None) -> None:
        self.name = _name_of(column) if name is None else name
        values = self._values(column)
        seen = set(values)
        if not seen:
            raise DataError(report(f"{self._shown()} has no categories: it is empty", at=here()))
        declared = [value for value in _declared(column) if value in seen]
        self._names = declared if len(declared) == len(seen) else _sorted(seen)
        self._places = {value: place for place, value in enumerate(self._names)}

    @classmethod
    def named(cls, names: Iterable[Any], name: str | None = None) -> Categories:
        """Categories of these names, in this order.

        Raises:
            DataError: there are none, or one stands twice.
        """
        listed = list(names)
        found = cls(listed, name)
        if len(found) != len(listed):
            twice = next(value for k, value in enumerate(listed) if value in listed[:k])
            raise DataError(report(f"the category {twice!r} stands twice", at=here(), cure="Give each name once."))
        found._names, found._places = listed, {value: place for place, value in enumerate(listed)}
        return found

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._names)

    def __repr__(self) -> str:
        return f"<{len(self)} categories of {self._shown()}: {_listed(self._names)}>"

    def codes(self, column: Any) -> Any:
        """The number of the category of every element, from 0 on; int64 of the length of the column.

        Raises:
            DataError: an element is missing, or of a category that was not seen; says which, and in which row.
        """
        values, places = self._values(column, _name_of(column)), self._places
        found = np.fromiter((places.get(value, -1) for value in values), np.int64, len(values))
        if len(found) and found.min() < 0:
            rows = np.flatnonzero(found < 0)
            value = values[rows[0]]
            facts = [f"{value!r:.60}, in row {rows[0]}", f"Rows with such a category:  {len(rows)} of {len(values)}."]
            cure = "Categories are fixed by the column that they were made of: train with more, or leave such rows out."
            near = nearest(value, self._names) if all(isinstance(one, str) for one in [value, *self._names]) else ""
            facts += [near] if near else [f"There are: {_listed(self._names)}."]
            what = f"{self._shown(_name_of(column))} has a category that was not seen in training"
            raise DataError(report(what, at=here(), facts=facts, cure=cure))
        return found

    def _shown(self, name: str = "") -> str:
        name = name or self.name
        return f"column {name!r}" if name else "the column"

    def _values(self, column: Any, name: str = "") -> Sequence[Any]:
        """The elements of a column, none of which is missing."""
        shown = self._shown(name)
        values = _elements(column)
        if values is None:
            cure = 'Give one column, such as df["city"]; of several, make categories for each.'
            raise DataError(report("categories are made of one column", at=here(), cure=cure))
        row = next((row for row, value in enumerate(values) if _is_missing(value)), None)
        if row is not None:
            facts = [f"{values[row]!r}, in row {row}"]
            cure = 'Fill it in, for example with a category of its own: column.fillna("unknown") in pandas.'
            raise DataError(report(f"{shown} has no category in row {row}", at=here(), facts=facts, cure=cure))
        return values


def _elements(column: Any) -> Sequence[Any] | None:
    """The elements of a column as objects of Python; None of what is no column."""
    if columns_of(column) or isinstance(column, (str, bytes, dict)) or len(getattr(column, "shape", (1,))) != 1:
        return None
    for method in ("to_pylist", "to_list", "tolist"):  # of Arrow, pandas and polars, NumPy
        if hasattr(column, method):
            found: Sequence[Any] = getattr(column, method)()
            return found
    try:
        return list(column)
    except TypeError:
        return None


def _declared(column: Any) -> Sequence[Any]:
    """The categories in the order of the dtype: of a categorical column of pandas, of an Enum of polars."""
    categories = getattr(getattr(column, "dtype", None), "categories", None)
    to_list = getattr(categories, "to_list", None)
    return to_list() if to_list is not None and str(column.dtype).startswith(("categ", "Enum")) else ()


def _sorted(values: Iterable[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # text beside numbers
        return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def _name_of(column: Any) -> str:
    name = getattr(column, "name", None)
    return name if isinstance(name, str) else ""


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(map(repr, names[:8])) + (", …" if len(names) > 8 else "")
