"""Data for training: arrays with one row an example, checked before anything is trained, and cut into batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import DataError, SpecError, report
from lazygrad.graph.registry import here
from lazygrad.ops.source import numeric
from lazygrad.values.missing import FILL, is_masked, odd_in, place_of, refused_columns
from lazygrad.values.rows import whole_rows
from lazygrad.values.tables import columns_of, dtypes_of, is_lazy, objects_of, parts_of

__all__ = ["Table", "as_given", "check_alike", "checked", "count_of", "first", "order", "pieces", "rows_of", "tables"]

PIECE = 2**22  # bytes that are looked at at once


class Table(NamedTuple):
    """One array of a data set."""

    name: str  # what messages call it
    array: Any  # (examples, ...)
    columns: Sequence[Any]  # names of the columns, if it came as a data frame
    dtype: np.dtype[Any]  # of its batches: an array that lies in a file is cast as it is read


def tables(data: Any, names: Sequence[str] = (), dtype: Any = None, where: str = "") -> list[Table]:
    """The arrays in ``data``, checked; floating ones are cast to ``dtype``, those in a file when they are read.

    Args:
        data: an array or a data frame, or several in a tuple, a list or a dict, with as many rows each.
        names: what messages call those that have no names of their own.
        dtype: of floating arrays; they keep theirs, if not given.
        where: which batch it is, as messages say it.

    Raises:
        DataError: there is no row, the numbers of rows differ, what is given is not numbers, or a number is
            NaN or infinite; names the array, the row and the column.
    """
    if isinstance(data, Mapping):
        named = [(str(name), value) for name, value in data.items()]
    else:
        given = data if isinstance(data, (tuple, list)) else [data]
        named = [(names[i] if i < len(names) else f"array {i}", value) for i, value in enumerate(given)]
    if not named:
        raise DataError(report("there is no data: an empty collection was given", at=here(), cure="Give arrays."))
    found = [_table(f"{name}{where}", value, dtype)._replace(name=name) for name, value in named]
    counts = [len(table.array) for table in found]
    if len(set(counts)) > 1:
        facts = [f"{table.name}{where}:  {count} rows" for table, count in zip(found, counts, strict=True)]
        cure = "Every array has one row an example."
        raise DataError(report("the arrays have different numbers of rows", at=here(), facts=facts, cure=cure))
    if not counts[0]:
        cure = "At least one example is needed."
        raise DataError(report(f"{found[0].name}{where} has no rows: the data set is empty", at=here(), cure=cure))
    return found


def _table(name: str, value: Any, dtype: Any) -> Table:
    columns = columns_of(value)
    if is_masked(value):
        what = f"cannot train with {name}: it is a masked array"
        raise DataError(report(what, at=here(), facts=[f"{name}:  a {type(value).__name__}"], cure=FILL))
    array = _mapped(value)
    is_mapped = array is not None
    if array is None and dtype is not None and columns:
        array = _filled(value, dtype)
    if array is None:
        array = _numbers(name, value)
    if array.ndim == 0:
        cure = "Give arrays whose first axis counts the examples."
        raise DataError(report(f"cannot train with {name}: it is a single number", at=here(), cure=cure))
    native = array.dtype.newbyteorder("=")
    wanted = np.dtype(dtype) if dtype is not None and array.dtype.kind == "f" else native
    cast = array if is_mapped else array.astype(native, copy=False)
    if wanted != native and not is_mapped:
        with np.errstate(over="ignore"):
            cast = array.astype(wanted)
    if array.dtype.kind == "f":
        _check_finite(name, array, cast, wanted, columns)
    return Table(name, cast if is_mapped else np.ascontiguousarray(cast), columns, wanted)


def _mapped(value: Any) -> Any:
    """An array of numbers that lies in a file, as it is; None of any other."""
    root = value
    while isinstance(root, np.ndarray) and not isinstance(root, np.memmap):
        root = root.base
    if not isinstance(value, np.ndarray) or not isinstance(root, np.memmap) or value.dtype.kind not in "biuf":
        return None
    return value.view(np.ndarray)


def _filled(table: Any, dtype: Any) -> Any:
    """The numbers of a table whose columns are of several dtypes, floats among them, put into one array of ``dtype``.

    NumPy would be given a copy in the widest one. None if there is no need, or an element is not finite.
    """
    if len({str(kind) for _, kind in dtypes_of(table)}) < 2 or objects_of(table) is not None:
        return None
    columns = [part.to_numpy() if hasattr(part, "to_numpy") else np.asarray(part) for part in parts_of(table)]
    kinds = {column.dtype.kind for column in columns}
    if "f" not in kinds or not kinds <= set("iuf"):
        return None
    array = np.empty((len(columns[0]), len(columns)), dtype)
    with np.errstate(over="ignore"):
        for k, column in enumerate(columns):
            array[:, k] = column
    return array if all(np.isfinite(piece).all() for _, piece in pieces(array)) else None


def _numbers(name: str, value: Any) -> Any:
    """The array of numbers that ``value`` is; raises DataError if it is none."""
    try:
        return numeric(value)
    except (SpecError, ValueError, TypeError):
        strange = odd_in(value)
        what = f"cannot train with {name}: it is not an array of numbers"
        facts = [f"{name}:  {getattr(value, 'dtype', f'{type(value).__name__} of object')}"]
        if strange is not None:
            facts = [f"{name}[{', '.join(map(str, strange.place))}] is {strange.value!r:.60}"]
            what = f"{name} has no number in {strange.where}" if strange.is_missing else what
            facts[0] += "" if strange.is_missing else f", in {strange.where}"
        facts += refused_columns(value)
        cure = _advice(value)
        if strange is not None and strange.is_missing:
            cure = "Fill in or leave out such rows before training."
        raise DataError(report(what, at=here(), facts=facts, cure=cure)) from None


def _advice(value: Any) -> str:
    """What to do with what is no array of numbers."""
    if is_lazy(value):
        return ""  # it has been said
    if isinstance(value, Mapping) or (isinstance(value, (tuple, list)) and any(map(np.ndim, value))):
        return "A list of data is one of arrays. If these are batches, give a function: fit(step, lambda: batches)."
    if hasattr(value, "__next__") or callable(value):
        return 'Batches that come one by one are given whole: a function that yields {"x": x, "y": y}.'
    return "Encode text and categories as numbers first, with lg.Categories or scikit-learn's encoders."


def pieces(array: Any) -> Iterator[tuple[int, Any]]:
    """An array some rows at a time, with the number of the first: of one that lies in a file, a few MB are read."""
    rows = max(1, PIECE // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def _check_finite(name: str, array: Any, cast: Any, dtype: Any, columns: Sequence[Any]) -> None:
    """Raise DataError at the first number that is not finite, in ``dtype`` too."""
    place, bad_numbers, bad_rows = None, 0, 0
    for start, piece in pieces(cast):
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(piece.astype(dtype, copy=False))
        if bad.any():
            place = place or (start + first(bad)[0], *first(bad)[1:])
            bad_numbers += int(bad.sum())
            bad_rows += int(bad.reshape(len(bad), -1).any(axis=1).sum())
    if place is None:
        return
    value = array[place]
    where = place_of(place, columns)
    facts = [f"{name}[{', '.join(map(str, place))}] is {value}" + ("" if not np.isfinite(value) else f" in {dtype}")]
    facts += [f"Not finite in all: {bad_numbers}, in rows: {bad_rows}."]
    cure = "Fill in or leave out such rows before training."
    what = f"{name} has a number that is not finite, in {where}"
    raise DataError(report(what, at=here(), facts=facts, cure=cure))


def as_given(table: Table, part: Any) -> Any:
    """Rows of a table as a step is given them."""
    return part.astype(table.dtype, copy=False)


def first(bad: Any) -> tuple[int, ...]:
    """Where the first true element is."""
    return tuple(map(int, np.unravel_index(int(np.argmax(bad)), bad.shape)))


def count_of(batch: Sequence[Any]) -> int:
    """How many rows a batch has, those of all workers together."""
    whole = whole_rows(batch[0])
    return len(batch[0]) if whole is None else whole


def rows_of(data: Sequence[Table]) -> int:
    """How many examples there are."""
    return len(data[0].array)


def check_alike(train: Sequence[Table], validation: Sequence[Table]) -> None:
    """Raise DataError unless examples of the two look alike."""
    if len(train) != len(validation):
        facts = [f"data:        {len(train)} arrays", f"validation:  {len(validation)} arrays"]
        raise DataError(report("the validation set has other arrays than the data", at=here(), facts=facts))
    for mine, theirs in zip(train, validation, strict=True):
        if mine.array.shape[1:] != theirs.array.shape[1:]:
            shown = [f"{list(table.array.shape)}" for table in (mine, theirs)]
            what = f"{mine.name} has other columns in the validation set"
            facts = [f"data:        {shown[0]}", f"validation:  {shown[1]}"]
            cure = "Prepare both sets in the same way; all sizes but the first must be equal."
            raise DataError(report(what, at=here(), facts=facts, cure=cure))
        if list(mine.columns) != list(theirs.columns):
            odd = next(
                (c for c in [*mine.columns, *theirs.columns] if (c in mine.columns) != (c in theirs.columns)), ""
            )
            what = f"{mine.name} has other columns in the validation set, or in another order"
            facts = [f"first that differs:  {odd!r}"] if odd else []
            raise DataError(report(what, at=here(), facts=facts, cure="Choose the same columns in the same order."))


def counted(value: Any, name: str, least: int = 0) -> int:
    """A whole number, ``least`` or more; raises DataError with its ``name`` if it is none."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        cure = f"It is a whole number, {least} or more."
        raise DataError(report(f"cannot use {value!r:.60} as {name}", at=here(), cure=cure))
    return int(value)


def checked(batch_size: Any, rows: int, whose: str = "the data") -> int:
    """A batch size that fits; raises DataError if it does not."""
    size = counted(batch_size, "batch_size", 1)
    if size > rows:
        facts = [f"batch_size:  {batch_size}", f"rows:        {rows}"]
        cure = f"Choose at most {rows}."
        raise DataError(report(f"the batch size is above the size of {whose}", at=here(), facts=facts, cure=cure))
    return size


def order(rows: int, seed: int, epoch: int, shuffle: bool) -> Any:
    """The order of the examples in an epoch, a function of its number, so that any epoch can be repeated."""
    return np.random.default_rng([seed, epoch]).permutation(rows) if shuffle else None
