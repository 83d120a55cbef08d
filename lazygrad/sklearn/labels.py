"""Labels as numbers and back: of one output, of several, and of sets of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.nn import binary_cross_entropy_with_logits, cross_entropy
from lazygrad.ops.reduction import mean

__all__ = ["Indicators", "Labels", "Several", "labels_of"]


class Labels:
    """One label a row, of two classes or more; one logit a class.

    Args:
        classes: the labels there are, sorted.
    """

    def __init__(self, classes: Any) -> None:
        self.classes = classes
        self.n_out = len(classes)

    def encoded(self, y: Any) -> Any:
        """The number of each label, ``(examples,)``.

        Raises:
            DataError: there is no such class.
        """
        return _numbers(self.classes, column_or_1d(y, warn=True))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The cross-entropy of each row."""
        return cross_entropy(logits, targets)

    def log_probabilities(self, logits: Any) -> Any:
        """Of each class, ``(examples, classes)``."""
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def probabilities(self, logits: Any) -> Any:
        """Of each class, ``(examples, classes)``."""
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def decisions(self, logits: Any) -> Any:
        """The logits; of two classes the logarithm of the odds of the second, ``(examples,)``."""
        return logits[:, 1] - logits[:, 0] if self.n_out == 2 else logits

    def predictions(self, logits: Any) -> Any:
        """The most probable label of each row."""
        return self.classes[logits.argmax(axis=1)]

    def columns(self, encoded: Any) -> tuple[list[Any], Any]:
        """The labels of each output, and their numbers ``(examples, outputs)``."""
        return [self.classes], encoded[:, None]

    def strata(self, encoded: Any) -> Any:
        """By what a part that is kept back is stratified."""
        return encoded


class Indicators(Labels):
    """A set of labels a row, as a matrix of 0 and 1 with one column a label, each with a logit of its own."""

    def encoded(self, y: Any) -> Any:
        """A matrix of 0 and 1, ``(examples, labels)``."""
        y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        if y.ndim != 2 or y.shape[1] != self.n_out or not ((y == 0) | (y == 1)).all():
            facts = [f"y:       {list(y.shape)}", f"labels:  {self.n_out}"]
            cure = "Give a matrix of 0 and 1 with one column a label."
            raise DataError(report("y is no matrix of the labels that were fitted", at=here(), facts=facts, cure=cure))
        return y.astype(np.int64)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the labels of the binary cross-entropy, of each row."""
        return mean(binary_cross_entropy_with_logits(logits, targets), axis=1)

    def log_probabilities(self, logits: Any) -> Any:
        """That a row has a label, ``(examples, labels)``."""
        return -np.logaddexp(0, -logits)

    def probabilities(self, logits: Any) -> Any:
        """That a row has a label, ``(examples, labels)``."""
        return np.exp(self.log_probabilities(logits))

    def decisions(self, logits: Any) -> Any:
        """The logarithm of the odds of each label, ``(examples, labels)``."""
        return logits

    def predictions(self, logits: Any) -> Any:
        """A matrix of 0 and 1."""
        return (logits > 0).astype(np.int64)

    def columns(self, encoded: Any) -> tuple[list[Any], Any]:
        """0 and 1 for each label."""
        return [np.arange(2)] * self.n_out, encoded

    def strata(self, encoded: Any) -> Any:
        """None: there are as many sets as rows."""
        return None


class Several(Labels):
    """Several outputs, each with classes of its own; one logit for each class of each.

    Args:
        classes: for each output the labels there are, sorted.
    """

    def __init__(self, classes: list[Any]) -> None:
        self.classes = classes
        self.parts = [Labels(names) for names in classes]
        self.n_out = sum(part.n_out for part in self.parts)

    def _cut(self, logits: Any) -> list[Any]:
        ends = np.cumsum([part.n_out for part in self.parts]).tolist()
        return [logits[:, end - part.n_out : end] for part, end in zip(self.parts, ends, strict=True)]

    def encoded(self, y: Any) -> Any:
        """The numbers of the labels, ``(examples, outputs)``."""
        y = np.asarray(y)
        if y.ndim != 2 or y.shape[1] != len(self.parts):
            facts = [f"y:        {list(y.shape)}", f"outputs:  {len(self.parts)}"]
            cure = "Give one column an output."
            raise DataError(report("y has other outputs than those fitted", at=here(), facts=facts, cure=cure))
        return np.stack([_numbers(names, column) for names, column in zip(self.classes, y.T, strict=True)], axis=1)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the outputs of the cross-entropy, of each row."""
        losses = [cross_entropy(part, targets[:, i]) for i, part in enumerate(self._cut(logits))]
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return total / len(losses)

    def log_probabilities(self, logits: Any) -> Any:
        """A list: of each output those of its classes."""
        return [part.log_probabilities(cut) for part, cut in zip(self.parts, self._cut(logits), strict=True)]

    def probabilities(self, logits: Any) -> Any:
        """A list: of each output those of its classes."""
        return [part.probabilities(cut) for part, cut in zip(self.parts, self._cut(logits), strict=True)]

    def decisions(self, logits: Any) -> Any:
        """A list: those of each output."""
        return [part.decisions(cut) for part, cut in zip(self.parts, self._cut(logits), strict=True)]

    def predictions(self, logits: Any) -> Any:
        """The most probable labels, ``(examples, outputs)``."""
        found = [part.predictions(cut) for part, cut in zip(self.parts, self._cut(logits), strict=True)]
        return np.stack(found, axis=1)

    def columns(self, encoded: Any) -> tuple[list[Any], Any]:
        """The labels of each output, and their numbers."""
        return self.classes, encoded

    def strata(self, encoded: Any) -> Any:
        """None: of combinations of labels there may be one row each."""
        return None


def labels_of(y: Any, classes: Any = None) -> Labels:
    """How the labels in ``y`` are told; ``classes`` are those that there will be, where they are known before.

    Raises:
        ValueError: these are no labels.
    """
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind == "multiclass-multioutput" or (classes is not None and _is_list_of_lists(classes)):
        return Several([np.unique(column) for column in (np.asarray(y).T if classes is None else classes)])
    if kind == "multilabel-indicator":
        return Indicators(np.arange(y.shape[1]) if classes is None else np.asarray(classes))
    return Labels(np.unique(np.asarray(y) if classes is None else np.asarray(classes)))


def _is_list_of_lists(classes: Any) -> bool:
    return isinstance(classes, list) and all(isinstance(part, (list, tuple, np.ndarray)) for part in classes)


def _numbers(classes: Any, y: Any) -> Any:
    """The place of each label among the classes."""
    unknown = ~np.isin(y, classes)
    if unknown.any():
        row = int(np.argmax(unknown))
        label = y[row].item() if hasattr(y[row], "item") else y[row]
        shown = ", ".join(map(repr, classes[:8].tolist()))
        facts = [f"y[{row}] is {label!r}", f"labels:  {shown}{', …' if len(classes) > 8 else ''}"]
        cure = "All labels must be known from the first call on: give classes=, or fit anew."
        raise DataError(
            report(f"y has a label that is not among the classes: {label!r}", at=here(), facts=facts, cure=cure)
        )
    return np.searchsorted(classes, y).astype(np.int64)
