"""Weights of examples: what is given for each row, and for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here

__all__ = ["by_class", "checked", "kept"]

_FORMS = "It is 'balanced', or a dict of a weight for each label; of several outputs a list of dicts."


def checked(sample_weight: Any, X: Any) -> Any:
    """A weight for each row of ``X``, float64; None if there are none.

    Raises:
        ValueError: there is not one a row, one is negative or not finite, or all are 0.
    """
    if sample_weight is None:
        return None
    weights = np.array(_check_sample_weight(sample_weight, X, dtype=np.float64))
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        facts = [f"sample_weight[{row}] is {weights[row]}"]
        cure = "A weight says how often its row counts: 0 or more."
        raise DataError(report("sample_weight has a negative weight", at=here(), facts=facts, cure=cure))
    if not weights.any():
        cure = "Leave sample_weight out, or give some rows a weight above 0."
        raise DataError(report("sample_weight is zero for all rows: none is left", at=here(), cure=cure))
    return weights


def kept(weights: Any, *arrays: Any) -> list[Any]:
    """Weights and arrays without the rows of weight 0, which are as if they had not been given."""
    if weights is None or weights.all():
        return [weights, *arrays]
    rows = np.flatnonzero(weights)
    return [weights[rows], *(None if a is None else a[rows] for a in arrays)]


def by_class(class_weight: Any, classes: Sequence[Any], labels: Any, weights: Any) -> Any:
    """The weights of rows times those of their classes; of several outputs the product is taken.

    Balanced, a class has the weight Σw / (K·Σw of its rows), where K is the number of classes (King & Zeng 2001).

    Args:
        class_weight: ``"balanced"``, a dict of weights by label, a list of either with one an output, or None.
        classes: for each output its labels.
        labels: ``(examples, outputs)``, numbers of labels.
        weights: of the rows, or None.

    Raises:
        DataError: it is none of these, or names a label that there is not.
    """
    if class_weight is None:
        return weights
    each = class_weight if isinstance(class_weight, list) else [class_weight] * len(classes)
    single = isinstance(class_weight, Mapping) and len(classes) > 1
    if single or len(each) != len(classes):
        facts = [f"class_weight:  {class_weight!r:.60}", f"outputs:       {len(classes)}"]
        raise DataError(report("class_weight does not fit the outputs", at=here(), facts=facts, cure=_FORMS))
    own = np.ones(len(labels)) if weights is None else weights
    found = own
    for rule, names, column in zip(each, classes, labels.T, strict=True):
        found = found * _of_classes(rule, names, column, own)[column]
    if not found.any():
        facts = [f"class_weight:  {class_weight!r:.60}"]
        raise DataError(report("class_weight is 0 for the classes of all rows", at=here(), facts=facts, cure=_FORMS))
    return found


def _of_classes(rule: Any, names: Any, column: Any, own: Any) -> Any:
    """A weight for each class."""
    if rule is None:
        return np.ones(len(names))
    if isinstance(rule, str) and rule == "balanced":
        counts = np.bincount(column, own, len(names))
        present = counts > 0
        return np.where(present, own.sum() / (present.sum() * np.where(present, counts, 1)), 0.0)
    if not isinstance(rule, Mapping):
        raise DataError(report(f"cannot use {rule!r:.60} as class_weight", at=here(), cure=_FORMS))
    known = names.tolist()
    unknown = [name for name in rule if name not in known]
    if unknown and not rule.keys() >= set(known):  # that of a class which has no row here is no slip
        facts = [f"class_weight:  {unknown[0]!r}", f"labels:        {', '.join(map(repr, known[:8]))}"]
        what = f"class_weight names a label that there is not: {unknown[0]!r}"
        raise DataError(report(what, at=here(), facts=facts, cure=_FORMS))
    found = np.array([float(rule.get(name, 1.0)) for name in known])
    if not (np.isfinite(found) & (found >= 0)).all() or not found.any():
        what = "class_weight has a weight that is negative or not finite, or all are 0"
        raise DataError(report(what, at=here(), facts=[f"class_weight:  {dict(rule)!r:.60}"], cure=_FORMS))
    return found
