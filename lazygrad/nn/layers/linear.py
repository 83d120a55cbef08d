"""The layer of a product of matrices."""

from __future__ import annotations

from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.checks import whole
from lazygrad.nn.layers.base import GLOROT, ZEROS, Fill, Layer, Owner, making
from lazygrad.ops.products import matmul

__all__ = ["Linear"]


class Linear(Layer):
    """x @ W + b over the last axis.

    Variables: ``weight (n_in, n_out)``, which is the transpose of PyTorch's, and ``bias (n_out,)``.

    Args:
        env, name: see :class:`Layer`.
        n_in, n_out: sizes of the last axis before and after.
        use_bias: whether b is added.
        weight, bias: initialisers, or variables of other layers to share; ``GlorotUniform()`` and ``Zeros()``, if not
            given.

    Raises:
        SpecError: a size is not a positive whole number.
    """

    def __init__(
        self,
        env: Owner,
        n_in: int,
        n_out: int,
        *,
        use_bias: bool = True,
        weight: Fill = GLOROT,
        bias: Fill = ZEROS,
        name: str | None = None,
    ) -> None:
        super().__init__(env, name)
        with making(self):
            self.n_in, self.n_out = whole("n_in", n_in), whole("n_out", n_out)
        self.use_bias = bool(use_bias)
        self._variable("weight", (self.n_in, self.n_out), weight, (self.n_in, self.n_out))
        if self.use_bias:
            self._variable("bias", (self.n_out,), bias, (self.n_in, self.n_out))

    def __call__(self, x: TensorLike) -> Tensor:
        """``(..., n_in)`` to ``(..., n_out)``.

        Raises:
            SpecError: the last axis has another size.
        """
        x = self._input(x)
        weight = self._value(x, "weight")
        fits = x.ndim > 0 and x.shape[-1] == self.n_in
        self._require(fits, f"The last axis of x must have size {self.n_in}.", x=x, weight=weight)
        y = matmul(x, weight)
        return y + self._value(x, "bias") if self.use_bias else y

    def _settings(self) -> str:
        return f"{self.n_in} → {self.n_out}"
