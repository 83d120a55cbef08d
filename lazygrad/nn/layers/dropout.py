"""The layer that drops elements, which has no variables."""

from __future__ import annotations

from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.checks import number
from lazygrad.nn.dropout import dropout
from lazygrad.nn.layers.base import Layer, Owner, making

__all__ = ["Dropout"]


class Dropout(Layer):
    """A random part ``rate`` of the elements 0 in training, see :func:`lazygrad.nn.dropout`.

    Args:
        env, name: see :class:`Layer`.
        rate: a number, at least 0 and below 1.

    Raises:
        SpecError: ``rate`` is out of range.
    """

    def __init__(self, env: Owner, rate: float = 0.5, *, name: str | None = None) -> None:
        super().__init__(env, name)
        with making(self):
            self.rate = number("rate", rate, 0, 1, open_end=True)

    def __call__(self, x: TensorLike, train: bool = False) -> Tensor:
        """A tensor of any shape to one of the same; ``x`` itself unless ``train``."""
        return dropout(self._input(x), self.rate, train)

    def _settings(self) -> str:
        return f"{self.rate:g}"
