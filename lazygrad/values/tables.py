"""Tables of pandas, polars and Arrow, and their columns, known by what they have: none of the three is imported."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["columns_of", "dtypes_of", "is_lazy", "objects_of", "parts_of"]


def is_lazy(x: Any) -> bool:
    """Whether ``x`` is a query of polars', which has no numbers yet."""
    return hasattr(x, "collect_schema") and not hasattr(x, "to_numpy")


def _is_arrow(x: Any) -> bool:
    """Whether ``x`` is a table, or a column, of Arrow."""
    return hasattr(x, "null_count" if hasattr(x, "type") else "column_names") and hasattr(x, "to_pylist")


def columns_of(x: Any) -> list[Any]:
    """The names of the columns of a table; none of anything else."""
    if hasattr(x, "column_names") and _is_arrow(x):
        return list(x.column_names)
    return list(x.columns) if hasattr(x, "to_numpy") and hasattr(x, "columns") else []


def dtypes_of(x: Any) -> list[tuple[Any, Any]]:
    """The columns of a table with their dtypes, or the one column that is given; None for a name that it has not."""
    if columns_of(x) or hasattr(x, "columns"):
        dtypes = x.schema.types if _is_arrow(x) else getattr(x, "dtypes", [])
        return list(zip(columns_of(x), dtypes, strict=False))
    if _is_arrow(x):
        return [(None, x.type)]
    if hasattr(x, "to_numpy") and hasattr(x, "dtype"):
        name = getattr(x, "name", None)
        return [(name if isinstance(name, str) and name else None, x.dtype)]
    return []


def parts_of(x: Any) -> list[Any]:
    """The columns of a table, each by itself, without a copy; none where they cannot be had."""
    if hasattr(x, "iloc") and hasattr(x, "columns"):
        return [x.iloc[:, k] for k in range(len(x.columns))]
    if hasattr(x, "get_columns"):
        return list(x.get_columns())
    return list(x.columns) if columns_of(x) and _is_arrow(x) else []


def objects_of(x: Any) -> Any:
    """The elements of a table or column of polars or Arrow in which something is null, as objects; else None.

    NumPy would be given NaN for what is null, which is a number.
    """
    parts = parts_of(x) or [x]
    counts = [_nulls(part) for part in parts]
    if None in counts or not any(counts):
        return None
    listed = [part.to_pylist() if hasattr(part, "to_pylist") else part.to_list() for part in parts]
    array = np.empty((len(listed[0]), len(listed)), object)
    for k, column in enumerate(listed):
        array[:, k] = column
    return array if columns_of(x) else array[:, 0]


def _nulls(part: Any) -> Any:
    """How many elements of a column are null."""
    count = getattr(part, "null_count", None)
    return count() if callable(count) else count
