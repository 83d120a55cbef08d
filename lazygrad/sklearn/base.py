"""What the estimators share: their parameters, what they are given, training, going on, and what is pickled."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here, level
from lazygrad.graph.tensor import Tensor
from lazygrad.pickled import version
from lazygrad.sklearn.given import check_settings, checked
from lazygrad.sklearn.loop import train
from lazygrad.sklearn.rows import Rows, Scale
from lazygrad.sklearn.session import Batches, Session, State
from lazygrad.training import History

__all__ = ["Estimator", "whole"]

P = ParamSpec("P")
T = TypeVar("T")

NUMBERS_AT_ONCE = 1 << 19  # of rows made dense in predictions, so that memory does not grow with the data
ROWS_AT_ONCE = 8192
_VERSION = "_lazygrad_version"  # among what is pickled


class Estimator(BaseEstimator):  # type: ignore[misc]
    """What all estimators do. The parameters are described by :class:`Regressor`."""

    _methods: tuple[str, ...] = ()  # that a network must have
    parameters_: dict[str, Any]
    history_: History
    n_iter_: int
    _columns: Scale | None
    _state: State
    _trained_in: str

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
        warm_start: bool = False,
        backend: str = "numpy",
        dtype: str | None = None,
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
        self.warm_start = warm_start
        self.backend = backend
        self.dtype = dtype
        self.progress = progress
        self.random_state = random_state

    def _network(self, env: VariableEnvironment) -> Any:
        """A new network in an environment."""
        raise NotImplementedError

    def _loss(self, network: Any, train: bool, *batch: Tensor) -> Tensor:
        """One number a row, of the arrays of a batch."""
        raise NotImplementedError

    def _goes_on(self, partial: bool) -> bool:
        """Whether what has been learned is kept."""
        return hasattr(self, "_state") and (partial or bool(self.warm_start))

    def _read(self, X: Any, partial: bool, **wanted: Any) -> tuple[Any, Any]:
        """What is given to fit, checked, in float64; a sparse ``X`` as CSR.

        Raises:
            ValueError: the data are empty, not finite, of different lengths, or of other columns than before.
        """
        check_settings(self, self._methods)
        if partial and self.early_stopping:
            cure = "Set early_stopping=False, and judge by data of your own when to stop calling."
            raise DataError(report("partial_fit cannot stop early: it does one epoch", at=here(), cure=cure))
        reset = not self._goes_on(partial)
        X, y = checked(self, X, dtype=[np.float64, np.float32], reset=reset, **wanted)
        if reset or self.dtype is not None:
            self._trained_in = np.dtype(X.dtype if self.dtype is None else self.dtype).name
        return X.astype(np.float64, copy=False), y

    def _scaled(self, before: str, X: Any, weights: Any, partial: bool) -> Scale | None:
        """The scale of columns: that of ``X``, or what there was before, to which partial_fit adds these rows."""
        known: Scale | None = getattr(self, before, None) if self._goes_on(partial) else None
        if known is not None:
            return known.joined(Scale.of(X, weights)) if partial else known
        return Scale.of(X, weights) if self.standardize and not self._goes_on(partial) else None

    def _learn(self, X: Any, targets: Any, weights: Any, partial: bool, strata: Any = None) -> Self:
        """Train on rows that have been checked, in an epoch if ``partial``."""
        columns = self._scaled("_columns", X, weights, partial)
        state = self._begun(partial)
        parts = self._parts(X.shape[0], state.seed, strata) if self.early_stopping else [None]
        data = [_batches(X, columns, self._trained_in, targets, weights, part) for part in parts]
        live: _Live = getattr(self, "_live", None) or _Live()
        session = live.taken(self, weights is not None) if partial else None
        if session is None:
            session = Session(self, self._network, self._loss, state, weights is not None)
        session.tune(self)
        history = train(
            session,
            data[0],
            data[1] if len(data) > 1 else None,
            epochs=1 if partial else self.epochs,
            batch_size=min(self.batch_size, len(data[0].rows)),
            patience=self.patience,
            progress=self.progress,
        )
        self._columns, self._state = columns, session.state()
        self.parameters_ = self._state.parameters
        self.history_ = _followed(self.history_, history) if partial and state.arrays else history
        self.n_iter_ = self.history_.epochs
        self._live = _Live()
        if partial:
            self._live.keep(self, session, weights is not None)
        return self

    def _begun(self, partial: bool) -> State:
        """What is gone on from."""
        if partial and hasattr(self, "_state"):
            return self._state
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if not self._goes_on(partial):
            return State({}, seed)
        return State(self._state.parameters, seed, self._state.runs, self._state.epochs)

    def _parts(self, rows: int, seed: int, strata: Any) -> list[Any]:
        """The rows that are trained on, and those that are kept back, of each class as many."""
        try:
            split = {"test_size": self.validation_fraction, "random_state": seed, "stratify": strata}
            return list(train_test_split(np.arange(rows), **split))
        except ValueError as reason:
            what = f"cannot keep {self.validation_fraction} of {rows} rows back for early stopping"
            cure = "Give more rows, a larger validation_fraction, or leave out classes that have a single row."
            raise DataError(report(what, at=here(), facts=[str(reason)], cure=cure)) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), _VERSION: version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        of = state.get(_VERSION, "an unknown version")
        if of != version():
            what = f"a {type(self).__name__} of lazygrad {of} is unpickled by {version()}, and may predict otherwise"
            warnings.warn(what, UserWarning, stacklevel=level())
        super().__setstate__({key: value for key, value in state.items() if key != _VERSION})

    def _checked(self, X: Any) -> Any:
        """Rows to predict for, sparse ones as CSR."""
        check_is_fitted(self)
        return checked(self, X, reset=False)[0]

    def _inner(self, X: Any) -> Rows:
        """In the units of the network, float64, so that a row's prediction hardly depends on the others."""
        return Rows(X, self._columns, np.float64)

    def _output(self, rows: Rows, part: Callable[[Any, Tensor], Tensor]) -> Any:
        """What ``part`` of the network says of rows, float64."""
        env, network = self._live.load(self)

        def step(ctx: Any, x: Any) -> Any:
            return part(network, x)

        size = min(ROWS_AT_ONCE, max(1, NUMBERS_AT_ONCE // rows.between(0, 1).shape[1]))
        starts = range(0, len(rows), size)
        return np.concatenate([env._store.backend.to_numpy(env.run(step, rows.between(i, i + size))) for i in starts])

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: sparse rows are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Live:
    """What is not pickled, but made again when it is needed: the network to predict with, and the one in training."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self._key: Any = None
        self._loaded: Any = None

    def keep(self, estimator: Estimator, session: Session, weighted: bool) -> None:
        """Keep what goes on in the next call of partial_fit."""
        self.session, self._key = session, (estimator.model, estimator.backend, estimator._trained_in, weighted)

    def taken(self, estimator: Estimator, weighted: bool) -> Session | None:
        """What was kept, if it fits; it is given away, as a training that fails would leave it half way."""
        session, self.session = self.session, None
        return session if self._key == (estimator.model, estimator.backend, estimator._trained_in, weighted) else None

    def load(self, estimator: Estimator) -> Any:
        """The trained network, float64, with its environment."""
        if self._loaded is None:
            env = VariableEnvironment(backend=estimator.backend, seed=0, dtype="float64")
            network = estimator._network(env)
            for path, array in estimator.parameters_.items():
                env[path] = array
            self._loaded = env, network
        return self._loaded

    def __reduce__(self) -> Any:
        return _Live, ()


def whole(fitted: Callable[P, T]) -> Callable[P, T]:
    """A method that trains: an estimator is as before if it fails."""

    @functools.wraps(fitted)
    def restoring(*args: P.args, **kwargs: P.kwargs) -> T:
        estimator = args[0]
        before = dict(vars(estimator))
        try:
            return fitted(*args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return restoring


def _followed(before: History, after: History) -> History:
    """One training after the other, of which the losses are kept."""
    losses = [*before.get("loss", ()), *after.get("loss", ())]
    found = History({"loss": losses}, [*before.seconds, *after.seconds])
    found.stopped = after.stopped
    return found


def _batches(X: Any, columns: Scale | None, dtype: Any, targets: Any, weights: Any, part: Any) -> Batches:
    """Some of the examples, or all; the weights have a mean of 1 among them."""
    if part is not None:
        X, targets, weights = (None if a is None else a[part] for a in (X, targets, weights))
    if weights is not None:
        weights = (weights / weights.mean()).astype(dtype)
    if targets is not None and targets.dtype.kind == "f":
        targets = targets.astype(dtype)
    return Batches(Rows(X, columns, dtype), targets, weights)
