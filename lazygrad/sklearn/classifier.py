"""Classifier: a network that tells classes apart, behind scikit-learn's interface."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import ClassifierMixin

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.nn import Sequential
from lazygrad.sklearn.base import Estimator, whole
from lazygrad.sklearn.given import answered
from lazygrad.sklearn.labels import Labels, labels_of
from lazygrad.sklearn.network import Network
from lazygrad.sklearn.weights import by_class, checked, kept

__all__ = ["Classifier"]


class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """A network that tells classes apart, trained on the cross-entropy.

    Its parameters are those of :class:`Regressor`; ``n_out`` is the number of classes, for several outputs that of
    all of them together. What is kept back for early stopping has as many of each class.

    Args:
        class_weight: how much each class counts: a dict of weights by label, others count 1; or ``"balanced"``, by
            which all classes count the same together. For several outputs a list with one an output.

    Attributes:
        classes_: the labels there are, sorted; a list of them for several outputs.
        parameters_, history_, n_iter_, n_features_in_, feature_names_in_: as of :class:`Regressor`.
    """

    classes_: Any
    _labels: Labels

    def __init__(
        self,
        model: Any = None,
        *,
        epochs: int = 200,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        class_weight: Any = None,
        standardize: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 20,
        warm_start: bool = False,
        backend: str = "numpy",
        dtype: str | None = None,
        progress: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            model,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            standardize=standardize,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            warm_start=warm_start,
            backend=backend,
            dtype=dtype,
            progress=progress,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train.

        Args:
            X: as for :meth:`Regressor.fit`.
            y: ``(examples,)``, labels of any kind. Or ``(examples, labels)``, 0 and 1 for each of several labels that
                a row may have; or ``(examples, outputs)``, a label for each of several outputs.
            sample_weight: as for :meth:`Regressor.fit`; it is multiplied with the weight of the class.

        Raises:
            ValueError: the data are empty, not finite, of different lengths, ``y`` are not labels, or weights are
                out of range.
        """
        return self._fitted(X, y, sample_weight, None, partial=False)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go through more data once, and keep what was learned before; see :meth:`fit`.

        Args:
            X, y, sample_weight: as for :meth:`fit`.
            classes: all labels that there will be, needed in the first call; for several outputs a list of them.

        Raises:
            ValueError: as :meth:`fit`; in the first call ``classes`` is missing, in another it differs; or
                ``class_weight`` is ``"balanced"``, as nobody knows how many of each will come.
        """
        return self._fitted(X, y, sample_weight, classes, partial=True)

    @whole
    def _fitted(self, X: Any, y: Any, sample_weight: Any, classes: Any, partial: bool) -> Self:
        X, y = self._read(X, partial, y=y, multi_output=True)
        weights, X, y = kept(checked(sample_weight, X), X, y)
        goes_on = self._goes_on(partial)
        if partial:
            _check_partial(self.class_weight, classes, goes_on)
        labels = labels_of(y, classes) if not goes_on or classes is not None or not partial else self._labels
        if goes_on and not _same(labels, self._labels):
            facts = [f"before:  {self.classes_!r:.60}", f"now:     {labels.classes!r:.60}"]
            cure = "Go on with the same labels, or make a new estimator."
            raise DataError(report("the classes are others than before", at=here(), facts=facts, cure=cure))
        targets = labels.encoded(y)
        each, numbers = labels.columns(targets)
        weights = by_class(self.class_weight, each, numbers, weights)
        weights, X, targets = kept(weights, X, targets)
        self._labels, self.classes_ = labels, labels.classes
        return self._learn(X, targets, weights, partial, labels.strata(targets))

    def _network(self, env: VariableEnvironment) -> Sequential:
        return Sequential((self.model or Network)(env, self.n_features_in_, self._labels.n_out))

    def _loss(self, network: Any, train: bool, *batch: Tensor) -> Tensor:
        return self._labels.loss(answered(network(batch[0], train), batch[0], self._labels.n_out), batch[1])

    def _logits(self, X: Any) -> Any:
        return self._output(self._inner(self._checked(X)), lambda network, x: network(x))

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, ``(examples, classes)``, float64, in the order of ``classes_``.

        Of sets of labels it is the probability that a row has the label; for several outputs it is a list, with an
        array for each.

        Raises:
            NotFittedError, ValueError: as :meth:`Regressor.predict`.
        """
        logits = self._logits(X)
        return self._labels.probabilities(logits)

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of :meth:`predict_proba`, right for probabilities of any size."""
        logits = self._logits(X)
        return self._labels.log_probabilities(logits)

    def decision_function(self, X: Any) -> Any:
        """What the network says before it becomes probabilities, in the shape of :meth:`predict_proba`.

        Of two classes it is the logarithm of the odds of the second, ``(examples,)``.

        Raises:
            NotFittedError, ValueError: as :meth:`Regressor.predict`.
        """
        logits = self._logits(X)
        return self._labels.decisions(logits)

    def predict(self, X: Any) -> Any:
        """The most probable class of every row, in the shape of ``y``.

        Raises:
            NotFittedError, ValueError: as :meth:`Regressor.predict`.
        """
        logits = self._logits(X)
        return self._labels.predictions(logits)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: sets of labels, and several outputs, can be predicted."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags


def _check_partial(class_weight: Any, classes: Any, goes_on: bool) -> None:
    """Raise DataError if partial_fit cannot know what it must."""
    if classes is None and not goes_on:
        cure = "Give all labels that there will be, such as classes=[0, 1, 2]."
        raise DataError(report("the first call of partial_fit needs classes", at=here(), cure=cure))
    each = class_weight if isinstance(class_weight, list) else [class_weight]
    if any(isinstance(rule, str) for rule in each):
        cure = "Give a dict of weights, such as sklearn.utils.class_weight.compute_class_weight gives for a part."
        what = f"partial_fit cannot use {class_weight!r:.60} as class_weight: it does not know how many will come"
        raise DataError(report(what, at=here(), cure=cure))


def _same(one: Any, other: Any) -> bool:
    """Whether labels are told in the same way."""
    if type(one) is not type(other):
        return False
    pairs = zip(one.classes, other.classes, strict=False)
    if isinstance(one.classes, list):
        return len(one.classes) == len(other.classes) and all(list(a) == list(b) for a, b in pairs)
    return list(one.classes) == list(other.classes)
