"""Transformer: an autoencoder, behind scikit-learn's interface."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.nn import mean_squared_error
from lazygrad.nn.checks import takes_train
from lazygrad.ops.reduction import mean
from lazygrad.sklearn.base import Estimator, whole
from lazygrad.sklearn.given import answered
from lazygrad.sklearn.network import Autoencoder
from lazygrad.sklearn.rows import Rows, Scale
from lazygrad.sklearn.weights import checked, kept
from lazygrad.training.data import counted

__all__ = ["Transformer"]


class Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):  # type: ignore[misc]
    """A network that brings rows to a few numbers each, and back: an autoencoder (Hinton & Salakhutdinov 2006).

    It is trained on the mean squared error of what comes back. Its parameters are those of :class:`Regressor`, but:

    Args:
        n_components: how many numbers a row becomes, its code.
        model: makes a network, called as ``model(env, n_in, n_components)``, with two methods: ``encode`` takes a
            tensor of rows to codes, ``decode`` takes codes to rows; each is told ``train`` if it has such an
            argument. One hidden layer of 64 units before the code and one after it, :class:`Autoencoder`, if not
            given.

    Attributes:
        parameters_, history_, n_iter_, n_features_in_, feature_names_in_: as of :class:`Regressor`.
    """

    _methods = ("encode", "decode")
    _n_features_out: int

    def __init__(
        self,
        n_components: int = 2,
        *,
        model: Any = None,
        epochs: int = 200,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
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
        self.n_components = n_components

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train.

        Args:
            X: as for :meth:`Regressor.fit`.
            y: not used.
            sample_weight: as for :meth:`Regressor.fit`.

        Raises:
            ValueError: the data are empty or not finite, ``n_components`` is no number of columns, or weights are
                out of range.
        """
        return self._fitted(X, sample_weight, partial=False)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go through more data once, and keep what was learned before; see :meth:`fit`."""
        return self._fitted(X, sample_weight, partial=True)

    @whole
    def _fitted(self, X: Any, sample_weight: Any, partial: bool) -> Self:
        wanted = counted(self.n_components, "n_components", 1)
        X, _ = self._read(X, partial)
        if self._goes_on(partial) and wanted != self._n_features_out:
            facts = [f"before:  {self._n_features_out}", f"now:     {wanted}"]
            cure = "Go on with as many, or make a new estimator."
            raise DataError(report("n_components is another than before", at=here(), facts=facts, cure=cure))
        weights, X = kept(checked(sample_weight, X), X)
        self._n_features_out = wanted
        return self._learn(X, None, weights, partial)

    def _network(self, env: VariableEnvironment) -> Any:
        return (self.model or Autoencoder)(env, self.n_features_in_, self._n_features_out)

    def _loss(self, network: Any, train: bool, *batch: Tensor) -> Tensor:
        x = batch[0]
        code = answered(_told(network.encode, x, train), x, self._n_features_out)
        return mean(mean_squared_error(answered(_told(network.decode, code, train), x, x.shape[1]), x), axis=1)

    def transform(self, X: Any) -> Any:
        """The code of each row, ``(examples, n_components)``, float64.

        Raises:
            NotFittedError, ValueError: as :meth:`Regressor.predict`.
        """
        return self._output(self._inner(self._checked(X)), lambda network, x: _told(network.encode, x, False))

    def inverse_transform(self, X: Any) -> Any:
        """The rows that codes stand for, ``(examples, features)``, float64, in the units of what was fitted.

        Args:
            X: codes, ``(examples, n_components)``.

        Raises:
            NotFittedError: :meth:`fit` has not been called.
            ValueError: these are no such codes.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=np.float64)
        if codes.shape[1] != self._n_features_out:
            facts = [f"codes:         {list(codes.shape)}", f"n_components:  {self._n_features_out}"]
            cure = "Give what transform gave."
            raise DataError(report("these are no codes of this network", at=here(), facts=facts, cure=cure))
        found = self._output(Rows(codes, None, np.float64), lambda network, x: _told(network.decode, x, False))
        return found if self._columns is None else self._columns.outer(found)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The part of the variance of the columns that comes back, 1 at best; in the units of the network.

        It is 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², with x̄ the mean of these rows.

        Args:
            X: rows.
            y: not used.
            sample_weight: of the rows.

        Raises:
            NotFittedError, ValueError: as :meth:`transform`.
        """
        X = self._checked(X)
        weights = checked(sample_weight, X)
        apart = self._output(self._inner(X), lambda network, x: self._loss(network, False, x))
        apart = apart.mean() if weights is None else np.average(apart, weights=weights)
        scale = Scale.of(X, weights)
        units = 1.0 if self._columns is None else self._columns.spread
        return float(1 - apart / max(np.mean(scale.squares / scale.weight / np.square(units)), np.finfo(float).tiny))


def _told(function: Any, x: Tensor, train: bool) -> Tensor:
    """What a part of a network says, told whether it is trained if it asks."""
    found: Tensor = function(x, train=train) if takes_train(function) else function(x)
    return found
