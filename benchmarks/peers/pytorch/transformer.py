"""A transformer block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as functions

from benchmarks.peers.pytorch import Transform, descending, optimizer, owned
from benchmarks.workloads.transformer import EPS, NAMES, Transformer


def training(workload: Transformer, transform: Transform) -> Callable[[int], Any]:
    """The step."""
    numbers, batches = workload.numbers()
    parameters = owned(numbers)
    p = dict(zip(NAMES, parameters, strict=True))
    width = (workload.width,)
    split = (workload.batch, workload.length, 3, workload.heads, workload.width // workload.heads)

    def loss(x: Any) -> Any:
        a = functions.layer_norm(x, width, p["scale1"], p["shift1"], EPS)
        # (3, batch, head, place, feature)
        q, k, v = (a @ p["qkv"] + p["qkv_bias"]).reshape(split).permute(2, 0, 3, 1, 4)
        mixed = functions.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + mixed @ p["out"] + p["out_bias"]
        b = functions.layer_norm(x, width, p["scale2"], p["shift2"], EPS)
        x = x + functions.gelu(b @ p["up"] + p["up_bias"]) @ p["down"] + p["down_bias"]
        return torch.mean(x * x)

    return descending(transform(loss), optimizer("sgd", parameters), batches)
