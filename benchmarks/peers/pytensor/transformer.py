"""A transformer block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.peers.pytensor import compiled, symbol, updates
from benchmarks.workloads.transformer import EPS, NAMES, Transformer


def training(workload: Transformer) -> Callable[[int], Any]:
    """The step."""
    pytensor.config.floatX = "float32"
    numbers, batches = workload.numbers()
    parameters = [pytensor.shared(p, shape=p.shape) for p in numbers]
    p = dict(zip(NAMES, parameters, strict=True))
    features = workload.width // workload.heads
    shape = batches[0][0].shape
    split = (*shape[:2], 3, workload.heads, features)
    first = x = symbol(batches[0][0])
    a = normed(x) * p["scale1"] + p["shift1"]
    # (3, batch, head, place, feature)
    parts = (a @ p["qkv"] + p["qkv_bias"]).reshape(split).transpose(2, 0, 3, 1, 4)
    q, k, v = parts[0], parts[1], parts[2]
    weights = pt.special.softmax(q @ k.swapaxes(2, 3) * np.float32(features**-0.5), axis=-1)
    mixed = (weights @ v).swapaxes(1, 2).reshape(shape)
    x = x + mixed @ p["out"] + p["out_bias"]
    z = (normed(x) * p["scale2"] + p["shift2"]) @ p["up"] + p["up_bias"]
    x = x + (z * (0.5 + 0.5 * pt.erf(z * np.float32(0.5**0.5)))) @ p["down"] + p["down_bias"]
    loss = pt.mean(x**2)
    return compiled([first], loss, batches, updates("sgd", loss, parameters))


def normed(x: Any) -> Any:
    """Each place less its mean and divided by its deviation."""
    centred = x - pt.mean(x, -1, keepdims=True)
    return centred / pt.sqrt(pt.mean(centred**2, -1, keepdims=True) + np.float32(EPS))
