"""Attention of several heads, and the block of a transformer."""

from __future__ import annotations

from typing import Any

from lazygrad.graph.spec import Mismatch
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.activations import gelu
from lazygrad.nn.attention import scaled_dot_product_attention
from lazygrad.nn.checks import number, whole
from lazygrad.nn.dropout import dropout
from lazygrad.nn.layers.base import Layer, Owner, making
from lazygrad.nn.layers.linear import Linear
from lazygrad.nn.layers.normalization import LayerNorm
from lazygrad.ops.movement import reshape, swapaxes

__all__ = ["MultiHeadAttention", "TransformerBlock"]


class MultiHeadAttention(Layer):
    """Attention by several heads, each with its share of the features (Vaswani et al. 2017, §3.2.2).

    Layers within it: ``query``, ``key``, ``value`` and ``out``, each a :class:`Linear` of ``width`` to ``width``.

    Args:
        env, name: see :class:`Layer`.
        width: number of features, before and after.
        heads: how many; it must divide ``width``.
        use_bias: whether the four have a bias.

    Raises:
        SpecError: a setting is not a positive whole number, or the width cannot be divided so.
    """

    def __init__(self, env: Owner, width: int, heads: int, *, use_bias: bool = True, name: str | None = None) -> None:
        super().__init__(env, name)
        with making(self):
            self.width, self.heads = whole("width", width), whole("heads", heads)
            if self.width % self.heads:
                raise Mismatch(f"A width of {self.width} cannot be divided among {self.heads} heads.")
        inside = self._namespace()
        self.query, self.key, self.value, self.out = (
            self._part(Linear(inside, self.width, self.width, use_bias=use_bias, name=part))
            for part in ("query", "key", "value", "out")
        )

    def __call__(
        self, x: TensorLike, source: TensorLike | None = None, mask: Any = None, causal: bool = False
    ) -> Tensor:
        """``(..., T, width)`` to the same shape.

        Args:
            x: what asks, ``(..., T, width)``.
            source: what is looked at, ``(..., S, width)``; ``x`` itself, if not given.
            mask: as that of :func:`lazygrad.nn.scaled_dot_product_attention`; it broadcasts to
                ``(..., heads, T, S)``.
            causal: whether position *t* sees only those up to *t*.

        Raises:
            SpecError: ``x``, ``source`` or the mask has another shape.
        """
        x = self._input(x)
        seen = x if source is None else self._input(source)
        for name, given in {"x": x, "source": seen}.items():
            fits = given.ndim >= 2 and given.shape[-1] == self.width
            self._require(fits, f"{name} has the axes (..., position, feature), and {self.width} features.", x=given)
        q, k, v = self._headed(self.query(x)), self._headed(self.key(seen)), self._headed(self.value(seen))
        y = swapaxes(scaled_dot_product_attention(q, k, v, mask, causal), -2, -3)
        joined: Tensor = self.out(reshape(y, (*y.shape[:-2], self.width)))
        return joined

    def _headed(self, x: Tensor) -> Tensor:
        """``(..., T, width)`` as ``(..., heads, T, width / heads)``."""
        return swapaxes(reshape(x, (*x.shape[:-1], self.heads, self.width // self.heads)), -2, -3)

    def _settings(self) -> str:
        return f"{self.width}, {self.heads} heads"


class TransformerBlock(Layer):
    """x + attention(norm(x)), then x + contract(gelu(expand(norm(x)))): the block with the norms in front.

    Vaswani et al. 2017, §3.1, with the order of Xiong et al. 2020, Figure 1 (b), which trains without a warm-up.
    Layers within it: ``attention_norm``, ``attention``, ``expand_norm``, ``expand``, ``contract``.

    Args:
        env, name: see :class:`Layer`.
        width: number of features, before and after.
        heads: of the attention.
        hidden: features between the two products; 4·``width``, if not given.
        rate: part of the elements dropped in training from what is added to x.
        causal: whether position *t* sees only those up to *t*.

    Raises:
        SpecError: a setting is out of its range.
    """

    def __init__(
        self,
        env: Owner,
        width: int,
        heads: int,
        *,
        hidden: int | None = None,
        rate: float = 0.0,
        causal: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(env, name)
        with making(self):
            self.width = whole("width", width)
            self.hidden = 4 * self.width if hidden is None else whole("hidden", hidden)
            self.rate = number("rate", rate, 0, 1, open_end=True)
        self.causal = bool(causal)
        inside = self._namespace()
        self.attention_norm = self._part(LayerNorm(inside, self.width, name="attention_norm"))
        self.attention = self._part(MultiHeadAttention(inside, self.width, heads, name="attention"))
        self.expand_norm = self._part(LayerNorm(inside, self.width, name="expand_norm"))
        self.expand = self._part(Linear(inside, self.width, self.hidden, name="expand"))
        self.contract = self._part(Linear(inside, self.hidden, self.width, name="contract"))

    def __call__(self, x: TensorLike, train: bool = False, mask: Any = None) -> Tensor:
        """``(..., T, width)`` to the same shape.

        Args:
            x: a sequence.
            train: whether elements are dropped.
            mask: see :class:`MultiHeadAttention`.

        Raises:
            SpecError: ``x`` or the mask has another shape.
        """
        x = self._input(x)
        fits = x.ndim >= 2 and x.shape[-1] == self.width
        self._require(fits, f"x has the axes (..., position, feature), and {self.width} features.", x=x)
        x = x + dropout(self.attention(self.attention_norm(x), mask=mask, causal=self.causal), self.rate, train)
        return x + dropout(self.contract(gelu(self.expand(self.expand_norm(x)))), self.rate, train)

    def _settings(self) -> str:
        return f"{self.width}, {self.attention.heads} heads, {self.hidden} hidden"
