"""A network under training: its environment, optimizer and step; and what is left of it when it is pickled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lazygrad.environment import VariableEnvironment
from lazygrad.ops.reduction import mean
from lazygrad.optim import AdamW
from lazygrad.sklearn.rows import Rows

__all__ = ["Batches", "Session", "State"]

_OPTIMIZER = "optimizer"


class State(NamedTuple):
    """All that a training must know to go on: arrays and numbers.

    Attributes:
        arrays: those of the network and of the optimizer, by the paths of their variables.
        seed: of the environment, and of the order of the rows.
        runs: how many steps the environment has run, on which its draws depend.
        epochs: how often the order of the rows has been drawn.
    """

    arrays: dict[str, Any]
    seed: int
    runs: int = 0
    epochs: int = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """The arrays of the network."""
        return {path: array for path, array in self.arrays.items() if not path.startswith(f"{_OPTIMIZER}/")}


class Batches(NamedTuple):
    """Examples to be trained on.

    Attributes:
        rows: their features.
        targets: what is wanted of each; None if it is the features.
        weights: of each, 1 in the mean; None if all count the same.
    """

    rows: Rows
    targets: Any = None
    weights: Any = None

    def take(self, places: Any) -> list[Any]:
        """The arguments of a step for the examples at these places."""
        rest = [a for a in (self.targets, self.weights) if a is not None]
        return [self.rows.take(places), *(a.take(places, axis=0) for a in rest)]


class Session:
    """A network under training.

    Args:
        settings: the estimator, whose parameters say how.
        make: makes the network in an environment.
        loss: one number a row, of the network, whether it is trained, and the arrays of a batch without weights.
        state: what it goes on from; without arrays the network is new.
        weighted: whether the last array of a batch is the weights of its rows.
    """

    def __init__(
        self, settings: Any, make: Callable[[VariableEnvironment], Any], loss: Any, state: State, weighted: bool
    ) -> None:
        self.env = VariableEnvironment(backend=settings.backend, seed=state.seed, dtype=settings._trained_in)
        self.seed, self.epochs, self.weighted = state.seed, state.epochs, weighted
        network = make(self.env)
        optimizer = AdamW(self.env, settings.learning_rate, weight_decay=settings.weight_decay, name=_OPTIMIZER)

        def step(ctx: Any, *batch: Any, train: bool) -> Any:
            losses = loss(network, train, *(batch[:-1] if weighted else batch))
            found = mean(losses * batch[-1] if weighted else losses)
            return (found, optimizer.minimize(found), ctx.updates()) if train else found

        self.optimizer = optimizer
        compiled = self.env.compile(step)
        self.train, self.measure = compiled.bound(train=True), compiled.bound(train=False)
        for path, array in state.arrays.items():
            if path in self.env:
                self.env[path] = array
            else:  # the optimizer registers what it keeps of a variable in its first update
                self.env.name(path).set(array, trainable=False)
        self.env._store.go_back({}, state.runs)
        self.tune(settings)

    def tune(self, settings: Any) -> None:
        """Take over the settings of the optimizer, which may have changed since the last call."""
        if self.optimizer.learning_rate != settings.learning_rate:
            self.optimizer.learning_rate = settings.learning_rate
        self.env[f"{_OPTIMIZER}/weight_decay"] = settings.weight_decay

    def values(self) -> tuple[dict[str, Any], int]:
        """Copies of all arrays, and how many steps there have been."""
        return {v.path: v.value for v in self.env}, self.env._store.state.runs

    def go_back(self, before: tuple[dict[str, Any], int]) -> None:
        """Give back what :meth:`values` gave."""
        self.env._store.go_back(*before)

    def is_finite(self) -> bool:
        """Whether all trainable numbers are finite."""
        isfinite = self.env._store.backend.xp.isfinite
        return all(bool(isfinite(v.value).all()) for v in self.env if v.trainable and v.dtype.kind == "f")

    def state(self) -> State:
        """What has been learned so far."""
        arrays = {v.path: self.env._store.backend.to_numpy(v.value) for v in self.env}
        return State(arrays, self.seed, self.env._store.state.runs, self.epochs)
