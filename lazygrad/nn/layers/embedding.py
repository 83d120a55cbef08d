"""The layer of a table of vectors."""

from __future__ import annotations

from typing import Any

from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.checks import whole
from lazygrad.nn.embedding import embedding, is_label
from lazygrad.nn.layers.base import NORMAL, Fill, Layer, Owner, making

__all__ = ["Embedding"]


class Embedding(Layer):
    """A vector for every label, see :func:`lazygrad.nn.embedding`.

    Variables: ``weight (count, width)``, at first drawn as in PyTorch.

    Args:
        env, name: see :class:`Layer`.
        count: number of labels; or a :class:`lazygrad.Categories`, for its codes.
        width: size of a vector.
        weight: initialiser, or a variable of another layer to share; ``Normal()``, if not given.

    Raises:
        SpecError: a size is not a positive whole number.
    """

    def __init__(self, env: Owner, count: Any, width: int, *, weight: Fill = NORMAL, name: str | None = None) -> None:
        super().__init__(env, name)
        with making(self):
            self.count = whole("count", len(count) if hasattr(count, "codes") else count)
            self.width = whole("width", width)
        self._variable("weight", (self.count, self.width), weight, (self.count, self.width))

    def __call__(self, labels: TensorLike) -> Tensor:
        """Whole numbers of any shape ``(...)`` to ``(..., width)``.

        Raises:
            SpecError: the labels are not whole numbers.
            IndexError: when it is evaluated: a label is out of range.
        """
        labels = self._input(labels)
        weight = self._value(labels, "weight")
        self._require(is_label(labels), "Labels are whole numbers: cast them with .astype(int).", labels=labels)
        return embedding(weight, labels)

    def _settings(self) -> str:
        return f"{self.count} → {self.width}"
