"""What estimators are given, checked by scikit-learn; what it refuses without a place is named here."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from lazygrad.errors import DataError, SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.source import refuse_masked
from lazygrad.values.missing import odd, refused_columns

__all__ = ["answered", "check_settings", "checked"]

_FILL = "Fill in or leave out such rows before training."
_ENCODE = "Encode text and categories first: with scikit-learn's encoders in a pipeline, or leave the columns out."


def checked(estimator: Any, X: Any, *, reset: bool, dtype: Any = np.float64, **wanted: Any) -> tuple[Any, Any]:
    """``X``, sparse ones as CSR with each element once, and ``y`` where it is wanted.

    Raises:
        ValueError: the data are empty, not finite, of different lengths, no numbers, or of other columns than before.
    """
    _refuse_missing(X=X, y=wanted.get("y"))
    try:
        found = validate_data(estimator, X, dtype=dtype, accept_sparse="csr", reset=reset, **wanted)
    except (ValueError, TypeError) as reason:
        columns = refused_columns(X)
        if not columns:
            raise
        what = f"X has columns that are no numbers, and {type(estimator).__name__} takes numbers"
        raise DataError(report(what, at=here(), facts=columns, cure=_ENCODE)) from reason
    X, y = found if "y" in wanted else (found, None)
    if issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X, y


def _refuse_missing(**given: Any) -> None:
    """Raise DataError, a ValueError, for masked arrays, and what pandas calls missing: scikit-learn names no place."""
    for name, x in given.items():
        refuse_masked(x)
        if not hasattr(x, "isna"):
            continue
        found = odd(x, np.asarray(x.astype(object), object), missing=True)
        if found is not None:
            facts = [f"{name}[{', '.join(map(str, found.place))}] is {found.value!r}"]
            raise DataError(report(f"{name} has no number in {found.where}", at=here(), facts=facts, cure=_FILL))
        if name == "y" and x.ndim == 1 and (bad := np.asarray(x.isna(), bool)).any():
            row = int(np.argmax(bad))
            what, facts = f"y is missing in row {row}", [f"y[{row}] is {x.iloc[row]!r}"]
            raise DataError(report(what, at=here(), facts=facts, cure=_FILL))


def check_settings(estimator: Any, methods: tuple[str, ...]) -> None:
    """Raise DataError at a parameter that is out of range; those of optimizer and environment are checked there."""
    for name, least in [("epochs", 0), ("batch_size", 1), ("patience", 1)]:
        value = getattr(estimator, name)
        if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
            cure = f"It is a whole number, {least} or more."
            raise DataError(report(f"cannot use {value!r:.60} as {name}", at=here(), cure=cure))
    model = estimator.model
    if model is not None and not callable(model):
        cure = "Give a class or a function that makes a network, called as model(env, n_in, n_out)."
        raise DataError(report(f"cannot use {model!r:.60} as model: it cannot be called", at=here(), cure=cure))
    missing = [name for name in methods if isinstance(model, type) and not hasattr(model, name)]
    if missing:
        cure = f"A network for {type(estimator).__name__} has the methods {' and '.join(methods)}."
        raise DataError(report(f"{model.__name__} has no method {missing[0]!r}", at=here(), cure=cure))


def answered(found: Any, rows: Tensor, n_out: int) -> Tensor:
    """What a network said of rows, if it is a tensor with one number an output.

    Raises:
        SpecError: it is not.
    """
    if isinstance(found, Tensor) and found.shape == (rows.shape[0], n_out):
        return found
    said = str(found.spec) if isinstance(found, Tensor) else type(found).__name__
    facts = [f"rows:     {rows.spec}", f"network:  {said}"]
    cure = f"It is made as model(env, n_in, n_out), and gives (rows, n_out), here {[rows.shape[0], n_out]}."
    raise SpecError(report("the network does not give one number an output", at=here(), facts=facts, cure=cure))
