"""Regressor and Classifier: a network, trained by Adam in mini-batches, behind scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.missing import odd
from lazygrad.nn import Sequential, cross_entropy, mean_squared_error
from lazygrad.ops.reduction import mean
from lazygrad.ops.source import refuse_masked
from lazygrad.optim import AdamW
from lazygrad.registry import here
from lazygrad.sklearn.network import Network
from lazygrad.training import EarlyStopping, fit

__all__ = ["Classifier", "Regressor"]

ROWS_AT_ONCE = 8192  # in predictions, so that memory does not grow with the data


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators do. The parameters are described by :class:`Regressor`."""

    def __init__(
        self,
        model: Any = None,
        *,
        epochs: int = 200,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        standardize: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 20,
        backend: str = "numpy",
        dtype: str = "float32",
        progress: bool = False,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.standardize = standardize
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.backend = backend
        self.dtype = dtype
        self.progress = progress
        self.random_state = random_state

    def _train(self, X: Any, y: Any, n_out: int, loss: Any, stratify: Any = None) -> None:
        """Make the network and fit it to rows ``X`` and what is wanted of them, ``y``."""
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        self._columns = _scale(X) if self.standardize else None
        self._n_out = n_out
        env, network = self._made(self.dtype, seed)
        optimizer = AdamW(env, learning_rate=self.learning_rate, weight_decay=self.weight_decay, name="optimizer")

        def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
            found = mean(loss(network(x, train), y))
            if not train:
                return found
            return found, optimizer.minimize(found), ctx.updates()

        rows, held_out, callbacks = (_scaled(X, self._columns), y), None, []
        if self.early_stopping:
            parts = train_test_split(*rows, test_size=self.validation_fraction, random_state=seed, stratify=stratify)
            rows, held_out, callbacks = (parts[0], parts[2]), (parts[1], parts[3]), [EarlyStopping(self.patience)]
        self.history_ = fit(
            env.compile(step),
            rows,
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(rows[0])),
            validation=held_out,
            callbacks=callbacks,
            progress=self.progress,
        )
        self.n_iter_ = self.history_.epochs
        self.parameters_ = {v.path: env._backend.to_numpy(v.value) for v in env if not v.path.startswith("optimizer/")}
        self._live: Any = self._loaded()

    def _made(self, dtype: str, seed: int = 0) -> tuple[VariableEnvironment, Sequential]:
        """A new environment with the network in it, which is told if it is trained where it asks."""
        env = VariableEnvironment(backend=self.backend, seed=seed, dtype=dtype)
        make = Network if self.model is None else self.model
        return env, Sequential(make(env, self.n_features_in_, self._n_out))

    def _loaded(self) -> tuple[VariableEnvironment, Sequential]:
        """The trained network. It predicts in float64, so that a row's prediction hardly depends on the others."""
        env, network = self._made("float64")
        for path, array in self.parameters_.items():
            env[path] = array
        return env, network

    def _output(self, X: Any) -> Any:
        """What the network says of rows, float64."""
        check_is_fitted(self)
        _refuse_missing(X=X)
        X = _scaled(validate_data(self, X, reset=False, dtype=np.float64), self._columns)
        if self._live is None:
            self._live = self._loaded()
        env, network = self._live

        def step(ctx: Any, x: Any) -> Any:
            return network(x)

        parts = [X[start : start + ROWS_AT_ONCE] for start in range(0, len(X), ROWS_AT_ONCE)]
        return np.concatenate([env._backend.to_numpy(env.run(step, part)) for part in parts])

    def __getstate__(self) -> Any:
        """What is pickled: settings and arrays. The network is made again, from ``model``, when it is needed."""
        state = super().__getstate__()
        return {**state, "_live": None} if "_live" in state else state


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A network that predicts numbers, trained on the mean squared error.

    Args:
        model: makes a network, called as ``model(env, n_in, n_out)``; the network is called with a tensor of
            rows, and with ``train=True`` or ``False`` as well if it has such an argument. Two hidden layers of
            64 units, :class:`Network`, if not given. To be pickled, it must be defined in a module.
        epochs: how often the data are gone through.
        batch_size: examples in a batch; the whole data set, if it has fewer.
        learning_rate, weight_decay: of AdamW; without decay it is Adam.
        standardize: whether columns, and what is predicted, are brought to mean 0 and variance 1 within.
        early_stopping: whether a part of the data is kept back, and training ends when the loss on it has not
            fallen for ``patience`` epochs; the best variables are kept.
        validation_fraction, patience: for early stopping.
        backend: ``"numpy"`` or ``"cupy"``.
        dtype: of the training, ``"float32"`` or ``"float64"``; predictions are computed in float64.
        progress: whether a bar is shown.
        random_state: a seed, a ``numpy.random.RandomState``, or None.

    Attributes:
        parameters_: the network's arrays, by the names of its variables.
        history_: the losses of every epoch, a :class:`~lazygrad.History`.
        n_iter_: how many epochs there were.
        n_features_in_: how many columns.
    """

    def fit(self, X: Any, y: Any) -> Regressor:
        """Train.

        Args:
            X: ``(examples, features)``.
            y: ``(examples,)`` or ``(examples, outputs)``.

        Raises:
            ValueError: the data are empty, not finite, or of different lengths.
        """
        _refuse_missing(X=X, y=y)
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        y = np.asarray(y, np.float64)
        self._single = y.ndim == 1
        y = y.reshape(len(y), -1)
        self._targets = _scale(y) if self.standardize else None
        self._train(X, _scaled(y, self._targets), y.shape[1], mean_squared_error)
        return self

    def predict(self, X: Any) -> Any:
        """The predictions, float64, in the shape of ``y``.

        Raises:
            NotFittedError: :meth:`fit` has not been called.
            ValueError: ``X`` has other columns than in :meth:`fit`.
        """
        found = self._output(X)
        if self._targets is not None:
            found = found * self._targets[1] + self._targets[0]
        return found[:, 0] if self._single else found

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: several outputs can be predicted at once."""
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = True
        return tags


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A network that tells classes apart, trained on the cross-entropy.

    Its parameters are those of :class:`Regressor`; ``n_out`` is the number of classes.

    Attributes:
        classes_: the labels there are, sorted.
        parameters_, history_, n_iter_, n_features_in_: as of :class:`Regressor`.
    """

    def fit(self, X: Any, y: Any) -> Classifier:
        """Train.

        Args:
            X: ``(examples, features)``.
            y: ``(examples,)``, labels of any kind.

        Raises:
            ValueError: the data are empty, not finite, of different lengths, or ``y`` are not labels.
        """
        _refuse_missing(X=X, y=y)
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self._train(X, labels.astype(np.int64), len(self.classes_), cross_entropy, stratify=labels)
        return self

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, ``(examples, classes)``, float64, in the order of ``classes_``.

        Raises:
            NotFittedError, ValueError: as :meth:`Regressor.predict`.
        """
        logits = self._output(X)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> Any:
        """The most probable class of every row.

        Raises:
            NotFittedError, ValueError: as :meth:`Regressor.predict`.
        """
        found = self._output(X)
        return self.classes_[found.argmax(axis=1)]


def _refuse_missing(**given: Any) -> None:
    """Raise DataError, a ValueError, for masked arrays, and what pandas calls missing: scikit-learn names no place."""
    for name, x in given.items():
        refuse_masked(x)
        found = odd(x, np.asarray(x.astype(object), object), missing=True) if hasattr(x, "isna") else None
        if found is not None:
            facts = [f"{name}[{', '.join(map(str, found.place))}] is {found.value!r}"]
            cure = "Fill in or leave out such rows before training."
            raise DataError(report(f"{name} has no number in {found.where}", at=here(), facts=facts, cure=cure))


def _scale(columns: Any) -> tuple[Any, Any]:
    """Mean and standard deviation of each column; 1 in place of one that is 0, or nothing but rounding."""
    first = columns[0]  # so that a constant has a deviation of exactly 0, and its own mean
    mean, spread = (columns - first).mean(axis=0), (columns - first).std(axis=0)
    rounding = 4 * np.finfo(np.float64).eps * np.abs(columns).max(axis=0)
    return first + mean, np.where(spread > rounding, spread, 1.0)


def _scaled(columns: Any, scale: tuple[Any, Any] | None) -> Any:
    return columns if scale is None else (columns - scale[0]) / scale[1]
