"""Attention (Vaswani et al. 2017, §3.2.1)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, broadcast
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import softmax
from lazygrad.nn.checks import fitting
from lazygrad.ops.comparison import where
from lazygrad.ops.movement import expand_dims, matrix_transpose
from lazygrad.ops.products import matmul
from lazygrad.ops.source import arange

__all__ = ["scaled_dot_product_attention"]


@function
@in_floats("q", "k", "v", beside=["mask"])
def scaled_dot_product_attention(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> Tensor:
    """softmax(q·kᵀ / √d)·v: for every query the mean of the values, weighted by how well their keys fit.

    Args:
        q: queries ``(..., T, d)``.
        k: keys ``(..., S, d)``.
        v: values ``(..., S, e)``. The axes in front, such as examples and heads, broadcast.
        mask: broadcasts to ``(..., T, S)``. Of bool, a query sees a key where it is true, and a query that sees
            none gets zeros; of floats, it is added to q·kᵀ / √d.
        causal: whether query *t* sees only the keys up to *t*.

    Returns:
        ``(..., T, e)``.

    Raises:
        SpecError: the shapes do not fit together, or the mask is of whole numbers.
    """
    q, k, v, *rest = tensors(q, k, v) if mask is None else tensors(q, k, v, mask)
    with fitting("attend with", q=q, k=k, v=v, **dict(zip(["mask"], rest, strict=False))):
        if min(q.ndim, k.ndim, v.ndim) < 2:
            raise Mismatch("Queries, keys and values have two axes or more, (..., position, feature).")
        if q.shape[-1] != k.shape[-1]:
            raise Mismatch(f"A query has {q.shape[-1]} features, a key {k.shape[-1]}; they must have as many.")
        if k.shape[-2] != v.shape[-2]:
            raise Mismatch(f"There are {k.shape[-2]} keys and {v.shape[-2]} values; there must be as many.")
        shape = (*broadcast([q.shape[:-2], k.shape[:-2]]), q.shape[-2], k.shape[-2])
        broadcast([shape[:-2], v.shape[:-2]])
        if rest and broadcast([rest[0].shape, shape]) != shape:
            raise Mismatch(f"The mask must broadcast to {list(shape)}.")
        if rest and rest[0].dtype.kind not in "bf":
            raise Mismatch("A mask is bool, true where a query sees a key, or floats that are added: cast it.")
    scores = matmul(q / math.sqrt(q.shape[-1]), matrix_transpose(k))
    sees = rest[0] if rest and rest[0].dtype == np.bool_ else None
    if rest and sees is None:
        scores = scores + rest[0]
    if causal:
        earlier = expand_dims(arange(shape[-2]), 1) >= arange(shape[-1])
        sees = earlier if sees is None else sees & earlier
    if sees is None:
        return matmul(softmax(scores), v)
    # A query that sees nothing has NaN for weights; no element of its row is chosen, here or in a derivative.
    weights = softmax(where(sees, scores, -np.inf))
    return matmul(where(sees, weights, 0), v)
