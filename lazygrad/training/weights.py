"""Weights of examples and of classes, as one array that the step is given beside the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, SpecError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.ops.source import numeric
from lazygrad.training.data import Table, tables

__all__ = ["NAME", "Weights", "labels_of"]

NAME = "sample_weight"  # the argument of the step


def labels_of(found: Sequence[Table]) -> Table:
    """The array of the labels: ``y``, or else the last one that is no weight."""
    others = [table for table in found if table.name != NAME]
    return next((table for table in others if table.name == "y"), others[-1])


class Weights:
    """What weighs the examples.

    Args:
        sample_weight: one number a row, or one a label; or None.
        class_weight: a dict from labels to numbers, in which what is missing weighs 1; one number a class; or
            ``"balanced"``, which is n / (k·nᵢ) for the nᵢ of n labels that are of the i-th of k classes; or None.

    Raises:
        DataError: ``class_weight`` is nothing of these, or a weight is negative or not finite.
    """

    def __init__(self, sample_weight: Any, class_weight: Any) -> None:
        self.sample_weight = sample_weight
        self.axes = 1  # of the weights of a validation set: one a row, or one a label
        self.balanced = isinstance(class_weight, str)
        self.classes: dict[int, float] | None = None
        self._is_array = class_weight is not None and not isinstance(class_weight, (Mapping, str))
        if self.balanced and class_weight != "balanced":
            cure = nearest(class_weight, ["balanced"])
            raise DataError(report(f"cannot use {class_weight!r:.60} as class_weight", at=here(), cure=cure))
        if class_weight is not None and not self.balanced:
            self.classes = _by_class(class_weight)

    def even(self, like: Sequence[Table]) -> Weights:
        """Those of a validation set, in which every example weighs 1, with as many axes as those of the data."""
        found = Weights(None, None)
        found.axes = next(table.array.ndim for table in like if table.name == NAME)
        return found

    def table(self, found: Sequence[Table], whole: bool = True) -> Table:
        """The weights of the rows of ``found``: those of the examples times those of their classes.

        Args:
            found: the data, with labels among them.
            whole: whether these are all rows there are, and not a batch.

        Raises:
            DataError: there is not one weight a row, or no weight for a label, or labels are not whole numbers.
        """
        labels = labels_of(found)
        dtype = next((t.dtype for t in found if t.dtype.kind == "f"), np.dtype(np.float32))
        own = next((t.array for t in found if t.name == NAME), None)
        if self.sample_weight is not None and own is not None:
            raise DataError(report(f"{NAME} is given twice: in the data and beside them", at=here()))
        if self.sample_weight is not None:
            own = self._given(labels, dtype)
        total = np.ones(labels.array.shape[: self.axes], dtype) if own is None else own.astype(dtype, copy=False)
        if self.classes is not None or self.balanced:
            of_labels = self._of(labels, whole)
            total = total.reshape(total.shape + (1,) * (of_labels.ndim - total.ndim)) * of_labels
            total = total.astype(dtype, copy=False)
        return Table(NAME, np.ascontiguousarray(total), (), total.dtype)

    def _given(self, labels: Table, dtype: Any) -> Any:
        (found,) = tables([self.sample_weight], [NAME], dtype)
        rows, array = len(labels.array), found.array
        if array.shape not in ((rows,), labels.array.shape):
            facts = [f"{NAME}:  {list(array.shape)}", f"{labels.name}:  {list(labels.array.shape)}"]
            cure = f"Its shape is [{rows}]: one number a row."
            raise DataError(report(f"{NAME} does not fit the data", at=here(), facts=facts, cure=cure))
        bad = np.asarray(array) < 0
        if bad.any() or not np.asarray(array).any():
            row = int(np.argmax(bad)) if bad.any() else 0
            facts = [f"{NAME}[{row}] is {array[row]}"]
            cure = "Weights are 0 or more, and not all of them 0."
            raise DataError(report(f"cannot weigh the rows by {NAME}", at=here(), facts=facts, cure=cure))
        return array

    def _of(self, labels: Table, whole: bool) -> Any:
        """The weight of the class of every label."""
        array = np.asarray(labels.array)
        if array.dtype.kind == "f" and (array == np.rint(array)).all():  # targets of a logistic loss are floats
            array = array.astype(np.int64)
        if array.dtype.kind not in "biu":
            facts = [f"{labels.name}:  {array.dtype}{list(array.shape)}"]
            cure = "The labels are the array `y`, or else the last one; cast them with .astype(int)."
            raise DataError(
                report("class_weight needs labels that are whole numbers", at=here(), facts=facts, cure=cure)
            )
        if self.balanced and not whole:
            cure = "Batches come one by one, and nobody knows how many labels of each class there will be: give a dict."
            raise DataError(report("cannot balance the classes of such data", at=here(), cure=cure))
        kinds, places, counts = np.unique(array, return_inverse=True, return_counts=True)
        if self.classes is None:
            weights = array.size / (len(kinds) * counts)
        else:
            self._check_known(labels, kinds, whole)
            weights = np.array([self.classes.get(int(kind), 1.0) for kind in kinds])
        return weights[places].reshape(array.shape)

    def _check_known(self, labels: Table, kinds: Any, whole: bool) -> None:
        """Raise DataError if there is no weight for a label where there ought to be one."""
        assert self.classes is not None
        unknown = [int(kind) for kind in kinds if int(kind) not in self.classes]
        unused = [kind for kind in self.classes if kind not in kinds] if whole else []
        if unknown and (self._is_array or unused):
            facts = [f"labels without a weight:  {', '.join(map(str, unknown[:8]))}"]
            facts += [f"weights without a label:  {', '.join(map(str, unused[:8]))}"] if unused else []
            cure = f"Give a weight for each label that {labels.name} has."
            raise DataError(report("class_weight does not fit the labels", at=here(), facts=facts, cure=cure))


def _by_class(given: Any) -> dict[int, float]:
    """Weights by class."""
    try:
        pairs = given.items() if isinstance(given, Mapping) else enumerate(np.atleast_1d(numeric(given)).tolist())
        found = {_label(label): float(weight) for label, weight in pairs}
    except (SpecError, TypeError, ValueError):
        found = {}
    if not found or any(not 0 <= weight < np.inf for weight in found.values()):
        cure = (
            "It is a dict such as {0: 1.0, 1: 5.0}, one number a class, or 'balanced'; weights are finite, 0 or more."
        )
        raise DataError(report(f"cannot use {given!r:.60} as class_weight", at=here(), cure=cure))
    return found


def _label(label: Any) -> int:
    """A whole number, as labels are."""
    if not isinstance(label, (bool, int, np.bool_, np.integer)):
        raise TypeError
    return int(label)
