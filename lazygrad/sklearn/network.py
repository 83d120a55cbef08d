"""The networks that estimators train if they are given none."""

from __future__ import annotations

from typing import Any

from lazygrad import nn
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.initializers import HeNormal

__all__ = ["Autoencoder", "Network"]


class Network:
    """Two hidden layers of 64 units and relu, of He's initialisation (He et al. 2015).

    Args:
        env: the environment.
        n_in, n_out: numbers of columns before and after.
    """

    def __init__(self, env: Any, n_in: int, n_out: int) -> None:
        self.first = nn.Linear(env, n_in, 64, weight=HeNormal(), name="first")
        self.second = nn.Linear(env, 64, 64, weight=HeNormal(), name="second")
        self.out = nn.Linear(env, 64, n_out, name="out")

    def __call__(self, x: Tensor) -> Tensor:
        """``(examples, n_in)`` to ``(examples, n_out)``."""
        return self.out(nn.relu(self.second(nn.relu(self.first(x)))))


class Autoencoder:
    """A hidden layer of 64 units and relu before the code, and one after it.

    Args:
        env: the environment.
        n_in: number of columns.
        n_components: numbers of a code.
    """

    def __init__(self, env: Any, n_in: int, n_components: int) -> None:
        self.before = nn.Linear(env, n_in, 64, weight=HeNormal(), name="before")
        self.code = nn.Linear(env, 64, n_components, name="code")
        self.after = nn.Linear(env, n_components, 64, weight=HeNormal(), name="after")
        self.out = nn.Linear(env, 64, n_in, name="out")

    def encode(self, x: Tensor) -> Tensor:
        """``(examples, n_in)`` to ``(examples, n_components)``."""
        return self.code(nn.relu(self.before(x)))

    def decode(self, code: Tensor) -> Tensor:
        """``(examples, n_components)`` to ``(examples, n_in)``."""
        return self.out(nn.relu(self.after(code)))
