"""Regressor: a network that predicts numbers, behind scikit-learn's interface."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.nn import Sequential, mean_squared_error
from lazygrad.ops.reduction import mean
from lazygrad.sklearn.base import Estimator, whole
from lazygrad.sklearn.given import answered
from lazygrad.sklearn.network import Network
from lazygrad.sklearn.rows import Scale
from lazygrad.sklearn.weights import checked, kept

__all__ = ["Regressor"]


class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """A network that predicts numbers, trained on the mean squared error by Adam in mini-batches.

    Args:
        model: makes a network, called as ``model(env, n_in, n_out)``; the network is called with a tensor of
            rows, and with ``train=True`` or ``False`` as well if it has such an argument. Two hidden layers of
            64 units, :class:`Network`, if not given. To be pickled, it must be defined in a module.
        epochs: how often the data are gone through.
        batch_size: examples in a batch; the whole data set, if it has fewer.
        learning_rate, weight_decay: of AdamW; without decay it is Adam.
        standardize: whether columns, and what is predicted, are brought to mean 0 and variance 1 within. What
            ``partial_fit`` is given is added to the means and variances of what it has seen.
        early_stopping: whether a part of the data is kept back, and training ends when the loss on it has not
            fallen for ``patience`` epochs; the best variables are kept.
        validation_fraction, patience: for early stopping.
        warm_start: whether ``fit`` goes on from what was learned before, with a new optimizer, in the units in which
            it was learned.
        backend: ``"numpy"`` or ``"cupy"``.
        dtype: of the training, ``"float32"`` or ``"float64"``; if not given it is float32 for an ``X`` of float32,
            and float64 for any other. Predictions are computed in float64.
        progress: whether a bar is shown.
        random_state: a seed, a ``numpy.random.RandomState``, or None.

    Attributes:
        parameters_: the network's arrays, by the names of its variables.
        history_: the losses of every epoch, a :class:`~lazygrad.History`.
        n_iter_: how many epochs there were.
        n_features_in_: how many columns.
        feature_names_in_: their names, if they came as a data frame.
    """

    _single: bool
    _n_out: int
    _targets: Scale | None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train.

        Args:
            X: ``(examples, features)``, an array, a data frame, or a sparse matrix, whose rows become dense a batch
                at a time.
            y: ``(examples,)`` or ``(examples, outputs)``.
            sample_weight: how often each example counts, ``(examples,)``: 2 is as if the row stood there twice, 0 as
                if it did not. Only their ratios matter.

        Raises:
            ValueError: the data are empty, not finite, of different lengths; a weight is negative, or all are 0.
        """
        return self._fitted(X, y, sample_weight, partial=False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go through more data once, and keep what was learned before; see :meth:`fit`."""
        return self._fitted(X, y, sample_weight, partial=True)

    @whole
    def _fitted(self, X: Any, y: Any, sample_weight: Any, partial: bool) -> Self:
        X, y = self._read(X, partial, y=y, multi_output=True, y_numeric=True)
        weights, X, y = kept(checked(sample_weight, X), X, y)
        y = np.asarray(y, np.float64)
        single, y = y.ndim == 1, y.reshape(len(y), -1)
        if self._goes_on(partial) and (single, y.shape[1]) != (self._single, self._n_out):
            facts = [f"before:  {self._n_out} outputs", f"now:     {y.shape[1]} outputs"]
            cure = "Give y in the same shape, or make a new estimator."
            raise DataError(report("y has another shape than before", at=here(), facts=facts, cure=cure))
        targets = self._scaled("_targets", y, weights, partial)
        self._single, self._n_out = single, y.shape[1]
        self._learn(X, y if targets is None else targets.inner(y), weights, partial)
        self._targets = targets
        return self

    @property
    def _width(self) -> int:
        """How many numbers the network gives for a row."""
        return self._n_out

    def _network(self, env: VariableEnvironment) -> Sequential:
        return Sequential((self.model or Network)(env, self.n_features_in_, self._width))

    def _loss(self, network: Any, train: bool, *batch: Tensor) -> Tensor:
        return mean(mean_squared_error(answered(network(batch[0], train), batch[0], self._width), batch[1]), axis=1)

    def predict(self, X: Any) -> Any:
        """The predictions, float64, in the shape of ``y``.

        Raises:
            NotFittedError: :meth:`fit` has not been called.
            ValueError: ``X`` has other columns than in :meth:`fit`.
        """
        found = self._output(self._inner(self._checked(X)), lambda network, x: network(x))
        found = found if self._targets is None else self._targets.outer(found)
        return found[:, 0] if self._single else found

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: several outputs can be predicted at once."""
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = True
        return tags
