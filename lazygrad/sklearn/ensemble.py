"""Ensemble: networks that say together how sure they are, behind scikit-learn's interface."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from lazygrad.graph.tensor import Tensor
from lazygrad.nn import gaussian_nll, softplus
from lazygrad.ops.reduction import mean
from lazygrad.sklearn.base import whole
from lazygrad.sklearn.given import answered, checked
from lazygrad.sklearn.regressor import Regressor
from lazygrad.training.data import counted

__all__ = ["Ensemble"]


class Ensemble(Regressor):
    """Networks that each predict a mean and a variance, and differ where there are no data.

    Each begins at numbers of its own, sees the rows in an order of its own, and is trained on the likelihood of a
    normal distribution (Lakshminarayanan et al. 2017, §2). The variance of a prediction is the mean of their variances,
    which is the noise of the data, and the variance of their means, which is what they do not know.

    Its parameters are those of :class:`Regressor`, but that ``model`` is called with two outputs for each column of
    ``y``, the mean and what becomes the variance by softplus; and:

    Args:
        n_networks: how many there are.

    Attributes:
        estimators_: the networks, each with the attributes of a :class:`Regressor`.
        n_features_in_, feature_names_in_: as of :class:`Regressor`.
    """

    estimators_: list[_Normal]

    def __init__(
        self,
        model: Any = None,
        *,
        n_networks: int = 5,
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
        self.n_networks = n_networks

    def _goes_on(self, partial: bool) -> bool:
        return hasattr(self, "estimators_") and (partial or bool(self.warm_start))

    @whole
    def _fitted(self, X: Any, y: Any, sample_weight: Any, partial: bool) -> Self:
        count = counted(self.n_networks, "n_networks", 1)
        goes_on = self._goes_on(partial)
        wanted = {"multi_output": True, "y_numeric": True}
        X, y = checked(self, X, dtype=[np.float64, np.float32], reset=not goes_on, y=y, **wanted)
        settings = {key: value for key, value in self.get_params().items() if key != "n_networks"}
        if not goes_on:
            seeds = check_random_state(self.random_state).randint(2**31 - 1, size=count)
            members = [_Normal(**settings | {"random_state": int(seed)}) for seed in seeds]
        else:
            members = [copy(m).set_params(**settings | {"random_state": m.random_state}) for m in self.estimators_]
        for member in members:
            member._fitted(X, y, sample_weight, partial)
        self.estimators_ = members
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The predictions, float64, in the shape of ``y``.

        Args:
            X: ``(examples, features)``.
            return_std: whether their standard deviations are given too, as ``mean, deviation``.

        Raises:
            NotFittedError: :meth:`fit` has not been called.
            ValueError: ``X`` has other columns than in :meth:`fit`.
        """
        check_is_fitted(self)
        X, _ = checked(self, X, reset=False)
        found = [member.moments(X) for member in self.estimators_]
        means, variances = np.stack([m for m, _ in found]), np.stack([v for _, v in found])
        if not return_std:
            return means.mean(axis=0)
        return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))


class _Normal(Regressor):
    """One of the networks: the mean and the variance of a normal distribution for each output."""

    @property
    def _width(self) -> int:
        return 2 * self._n_out

    def _loss(self, network: Any, train: bool, *batch: Tensor) -> Tensor:
        found = answered(network(batch[0], train), batch[0], self._width)
        middle, variance = found[:, : self._n_out], softplus(found[:, self._n_out :])
        return mean(gaussian_nll(middle, batch[1], variance), axis=1)

    def moments(self, X: Any) -> tuple[Any, Any]:
        """Mean and variance of each prediction, in the shape of ``y``."""
        found = self._output(self._inner(X), lambda network, x: network(x))
        middle, variance = found[:, : self._n_out], np.logaddexp(0, found[:, self._n_out :])
        if self._targets is not None:
            middle, variance = self._targets.outer(middle), variance * np.square(self._targets.spread)
        return (middle[:, 0], variance[:, 0]) if self._single else (middle, variance)

    def predict(self, X: Any) -> Any:
        """The mean of each prediction."""
        return self.moments(self._checked(X))[0]
