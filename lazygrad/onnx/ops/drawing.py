"""Random numbers, other ones at every run, from the environment's seed."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.elementwise import _dtype
from lazygrad.onnx.ops.table import At, op


@op("RandomNormal", draws=True)
def normal(at: At, *, dtype: int, mean: float, scale: float, seed: Any, shape: Any) -> Any:
    """Numbers of a normal distribution."""
    return lg.astype(mean + scale * at.context.random.normal(tuple(shape)), _dtype(at, dtype))


@op("RandomUniform", draws=True)
def uniform(at: At, *, dtype: int, high: float, low: float, seed: Any, shape: Any) -> Any:
    """Numbers between two bounds."""
    return lg.astype(low + (high - low) * at.context.random.uniform(tuple(shape)), _dtype(at, dtype))


@op("RandomNormalLike", draws=True)
def normal_like(at: At, x: Any, *, dtype: Any, mean: float, scale: float, seed: Any) -> Any:
    """As many as another tensor has."""
    kind = x.dtype if dtype is None else _dtype(at, dtype)
    return lg.astype(mean + scale * at.context.random.normal(x.shape), kind)


@op("RandomUniformLike", draws=True)
def uniform_like(at: At, x: Any, *, dtype: Any, high: float, low: float, seed: Any) -> Any:
    """As many as another tensor has."""
    kind = x.dtype if dtype is None else _dtype(at, dtype)
    return lg.astype(low + (high - low) * at.context.random.uniform(x.shape), kind)


@op("Bernoulli", draws=True)
def bernoulli(at: At, x: Any, *, dtype: Any, seed: Any) -> Any:
    """1 with the probabilities that are given."""
    kind = x.dtype if dtype is None else _dtype(at, dtype)
    return lg.astype(at.context.random.bernoulli(x.shape, x), kind)


@op("Multinomial", draws=True)
def multinomial(at: At, logits: Any, *, dtype: int, sample_size: int, seed: Any) -> Any:
    """Classes with the probabilities that are softmax of rows: the largest of logits with Gumbel's noise."""
    u = at.context.random.uniform((logits.shape[0], sample_size, logits.shape[1]))
    noise = -lg.log(-lg.log(u + np.finfo(np.float32).tiny))
    return lg.astype(lg.argmax(lg.expand_dims(logits, 1) + noise, axis=-1), _dtype(at, dtype))
