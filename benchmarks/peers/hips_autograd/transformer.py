"""A transformer block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd.scipy.special import erf

from benchmarks.peers.hips_autograd import descending
from benchmarks.workloads.transformer import EPS, NAMES, Transformer


def training(workload: Transformer) -> Callable[[int], Any]:
    """The step."""
    features = workload.width // workload.heads
    split = (workload.batch, workload.length, 3, workload.heads, features)

    def loss(parameters: list[Any], x: Any) -> Any:
        p = dict(zip(NAMES, parameters, strict=True))
        a = normed(x) * p["scale1"] + p["shift1"]
        # (3, batch, head, place, feature)
        q, k, v = anp.transpose(anp.reshape(anp.matmul(a, p["qkv"]) + p["qkv_bias"], split), (2, 0, 3, 1, 4))
        scores = anp.matmul(q, anp.swapaxes(k, 2, 3)) * features**-0.5
        weights = anp.exp(scores - anp.max(scores, -1, keepdims=True))
        weights = weights / anp.sum(weights, -1, keepdims=True)
        mixed = anp.reshape(anp.swapaxes(anp.matmul(weights, v), 1, 2), x.shape)
        x = x + anp.matmul(mixed, p["out"]) + p["out_bias"]
        z = anp.matmul(normed(x) * p["scale2"] + p["shift2"], p["up"]) + p["up_bias"]
        x = x + anp.matmul(z * (0.5 + 0.5 * erf(z * 0.5**0.5)), p["down"]) + p["down_bias"]
        return anp.mean(x**2)

    return descending(loss, "sgd", workload.numbers())


def normed(x: Any) -> Any:
    """Each place less its mean and divided by its deviation."""
    centred = x - anp.mean(x, -1, keepdims=True)
    return centred / anp.sqrt(anp.mean(centred**2, -1, keepdims=True) + EPS)
