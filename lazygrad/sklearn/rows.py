"""Rows of features as a network sees them: brought to mean 0 and variance 1, and dense a batch at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

__all__ = ["Rows", "Scale"]

_ROUNDING = 4 * np.finfo(np.float64).eps  # beside the largest number of a column


class Scale(NamedTuple):
    """Mean and spread of each column, of the rows seen so far.

    Attributes:
        weight: the sum of the weights of the rows.
        mean: of each column.
        squares: for each column the weighted sum of the squared deviations from the mean.
        largest: of each column the largest absolute value.
    """

    weight: float
    mean: Any
    squares: Any
    largest: Any

    @classmethod
    def of(cls, X: Any, weights: Any = None) -> Scale:
        """That of the rows of ``X``, which may be sparse, and is not made dense."""
        total = float(X.shape[0] if weights is None else weights.sum())
        if issparse(X):
            return cls._of_sparse(X, np.ones(X.shape[0]) if weights is None else weights, total)
        first = X[0]  # so that a constant has a deviation of exactly 0, and its own mean
        part = (X - first).mean(axis=0) if weights is None else weights @ (X - first) / total
        squares = np.square(X - first - part)
        squares = squares.sum(axis=0) if weights is None else weights @ squares
        return cls(total, first + part, squares, np.abs(X).max(axis=0))

    @classmethod
    def _of_sparse(cls, X: Any, weights: Any, total: float) -> Scale:
        """That of a CSR matrix: what it does not hold are zeros, each as far from the mean as any other."""
        count, held = X.shape[1], np.repeat(weights, np.diff(X.indptr))
        rest = (total - np.bincount(X.indices, held, count)).clip(0)
        rest[np.bincount(X.indices, minlength=count) == X.shape[0]] = 0.0  # and no rounding
        mean = np.bincount(X.indices, held * X.data, count) / total
        apart = X.data - mean[X.indices]  # once more around the mean, so that of a constant nothing is left
        mean += (np.bincount(X.indices, held * apart, count) - rest * mean) / total
        squares = np.bincount(X.indices, held * np.square(X.data - mean[X.indices]), count)
        squares += rest * np.square(mean)
        return cls(total, mean, squares, abs(X).max(axis=0).toarray().ravel())

    def joined(self, other: Scale) -> Scale:
        """That of the rows of both (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        weight, apart = self.weight + other.weight, other.mean - self.mean
        squares = self.squares + other.squares + np.square(apart) * (self.weight * other.weight / weight)
        mean = self.mean + apart * (other.weight / weight)
        return Scale(weight, mean, squares, np.maximum(self.largest, other.largest))

    @property
    def spread(self) -> Any:
        """The standard deviation of each column; 1 in place of one that is 0, or nothing but rounding."""
        spread = np.sqrt(self.squares / self.weight)
        return np.where(spread > _ROUNDING * self.largest, spread, 1.0)

    def inner(self, X: Any) -> Any:
        """Dense rows in the units of the network."""
        found = X - self.mean
        found /= self.spread
        return found

    def outer(self, X: Any) -> Any:
        """Rows in the units of the user."""
        return X * self.spread + self.mean


class Rows:
    """Rows of features in the units of the network. Sparse ones become dense when they are taken.

    Args:
        X: ``(examples, features)``, dense or CSR.
        scale: of the columns; None leaves them as they are.
        dtype: of what is given to the network.
    """

    def __init__(self, X: Any, scale: Scale | None, dtype: Any) -> None:
        self._sparse, self._scale, self._dtype = issparse(X), scale, np.dtype(dtype)
        self._x = X if self._sparse else self._inner(X)

    def _inner(self, X: Any) -> Any:
        found = X if self._scale is None else self._scale.inner(X)
        return np.ascontiguousarray(found, self._dtype)

    def __len__(self) -> int:
        return int(self._x.shape[0])

    def take(self, places: Any) -> Any:
        """The rows at these places, dense."""
        return self._inner(self._x[places].toarray()) if self._sparse else self._x.take(places, axis=0)

    def between(self, start: int, stop: int) -> Any:
        """The rows from ``start`` up to ``stop``, dense."""
        return self._inner(self._x[start:stop].toarray()) if self._sparse else self._x[start:stop]
