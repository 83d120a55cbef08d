"""What is no number among numbers: masked elements, pandas' ``NA``, None and the like, and where they stand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lazygrad.values.tables import columns_of, dtypes_of, is_lazy, objects_of

__all__ = ["FILL", "Odd", "is_masked", "numbers", "odd", "odd_in", "place_of", "refused_columns"]

FILL = "What is masked has no number: fill it in, as with x.filled(0), or leave it out, as with x.compressed()."


class Odd(NamedTuple):
    """An element that is no number, and where it stands."""

    place: tuple[int, ...]
    value: Any
    where: str  # in words

    @property
    def is_missing(self) -> bool:
        """Whether it says that there is no number: None, or pandas' NA or NaT."""
        return self.value is None or type(self.value).__name__ in ("NAType", "NaTType")


def is_masked(x: Any) -> bool:
    """Whether ``x`` is a masked array, or lists in which there is one."""
    kind = type(x)
    if kind is np.ndarray or kind is float or kind is int:
        return False
    if isinstance(x, (list, tuple)):
        return any(is_masked(part) for part in x)
    return isinstance(x, np.ndarray) and isinstance(x, np.ma.MaskedArray)


def numbers(x: Any, array: Any) -> Any:
    """``array``, which NumPy makes of ``x``, but objects where a table's library would make NaN of what is missing.

    Of a data frame whose columns pandas keeps as objects though all are numbers, the numbers.
    """
    if not hasattr(x, "to_numpy") or not hasattr(x, "isna"):
        objects = objects_of(x)
        return array if objects is None else objects
    if array.dtype.kind != "O" and all(isinstance(d, np.dtype) for d in _dtypes(x)):
        return array
    objects = np.asarray(x.astype(object), object)  # a frame itself would make NaN of its NA
    if odd(x, objects) is not None:
        return objects
    found = np.array(objects.tolist()) if array.dtype.kind == "O" else array
    return found if found.shape == array.shape else array


def _dtypes(x: Any) -> list[Any]:
    """The dtypes of a column of pandas', or of each column of a data frame."""
    return list(x.dtypes) if hasattr(x, "columns") else [x.dtype]


def odd(x: Any, array: Any, missing: bool = False) -> Odd | None:
    """The first element of an array of objects that is no real number; ``x`` is what it was made of.

    Args:
        x: what the array was made of, as it may name its columns.
        array: the array.
        missing: whether only what says that there is no number counts.
    """
    if array.dtype.kind != "O" or not array.ndim:
        return None
    columns = columns_of(x)
    for number, value in enumerate(array.flat):
        if not isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
            place = tuple(int(i) for i in np.unravel_index(number, array.shape))
            found = Odd(place, value, place_of(place, columns))
            if found.is_missing or not missing:
                return found
    return None


def refused_columns(x: Any) -> list[str]:
    """The columns of a data frame, or the one column given, whose dtypes hold no numbers; with what to do, if known."""
    if is_lazy(x):
        return ["A query has no numbers yet: give x.collect()."]
    return [
        f"{'the column' if name is None else f'column {name!r}'}:  {dtype}{_cure(str(dtype))}"
        for name, dtype in dtypes_of(x)
        if str(dtype) != "object" and not _is_numeric(dtype)
    ]


def _is_numeric(dtype: Any) -> bool:
    """Whether a column with this dtype holds real numbers or booleans."""
    kind = getattr(dtype, "kind", None)
    if isinstance(kind, str):
        return kind in "biuf"
    return str(dtype).casefold().startswith(("int", "uint", "float", "halffloat", "double", "bool"))


def _cure(dtype: str) -> str:
    dtype = dtype.casefold()
    if dtype.startswith(("categor", "enum", "dictionary")):
        return ", as whole numbers: lg.Categories(column).codes(column)"
    if dtype.startswith(("str", "string", "large_string", "utf8")):
        return ", of categories as whole numbers: lg.Categories(column).codes(column)"
    return ", as a number: subtract a date, and divide by a unit of time" if dtype.startswith("date") else ""


def odd_in(x: Any) -> Odd | None:
    """The first element of what NumPy makes of ``x`` that is no real number, where it makes objects."""
    try:
        return odd(x, numbers(x, np.asarray(x)))
    except (ValueError, TypeError, RuntimeError, BufferError):  # ragged lists; arrays that are not given
        return None


def place_of(place: tuple[int, ...], columns: Any = ()) -> str:
    """The place of an element in words: its row, and its column by number and name."""
    where = f"row {place[0]}"
    if len(place) > 1:
        where += f", column {', '.join(map(str, place[1:]))}"
        where += f" ({columns[place[1]]!r})" if len(columns) else ""
    return where
