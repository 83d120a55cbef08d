"""A transformer block, backwards by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

from benchmarks.peers.numpy_by_hand.updates import optimizer
from benchmarks.workloads.base import BATCHES
from benchmarks.workloads.transformer import EPS, Transformer

ROOT_HALF, DENSITY = np.float32(0.5**0.5), np.float32((2 * np.pi) ** -0.5)


def training(workload: Transformer) -> Callable[[int], Any]:
    """The step, with the places of all sequences as rows of one matrix where they do not meet."""
    parameters, batches = workload.numbers()
    scale1, shift1, qkv, qkv_bias, out, out_bias, scale2, shift2, up, up_bias, down, down_bias = parameters
    move = optimizer("sgd", parameters)
    width, heads = workload.width, workload.heads
    grid = (workload.batch, workload.length, 3, heads, width // heads)
    temperature = np.float32((width // heads) ** -0.5)

    def step(number: int) -> Any:
        x = batches[number % BATCHES][0].reshape(-1, width)
        normed1, _ = normalized(x)  # the sequences themselves need no cotangent
        a = normed1 * scale1 + shift1
        # (3, batch, head, place, feature)
        q, k, v = np.ascontiguousarray((a @ qkv + qkv_bias).reshape(grid).transpose(2, 0, 3, 1, 4))
        scores = q @ k.swapaxes(-1, -2) * temperature
        scores -= scores.max(-1, keepdims=True)
        p = np.exp(scores, out=scores)
        p /= p.sum(-1, keepdims=True)
        mixed = (p @ v).swapaxes(1, 2).reshape(-1, width)
        x = x + mixed @ out + out_bias
        normed2, deviation2 = normalized(x)
        b = normed2 * scale2 + shift2
        z = b @ up + up_bias
        below = 0.5 * (1 + erf(z * ROOT_HALF))  # the normal distribution function
        h = z * below
        x = x + h @ down + down_bias
        loss = np.mean(x * x)

        g = x * np.float32(2 / x.size)
        gh = (g @ down.T) * (below + z * DENSITY * np.exp(-0.5 * z * z))
        gb = gh @ up.T
        gx = g + unnormalized(gb * scale2, normed2, deviation2)
        gm = (gx @ out.T).reshape(*grid[:2], *grid[3:]).swapaxes(1, 2)
        gp = gm @ v.swapaxes(-1, -2)
        gs = p * (gp - (gp * p).sum(-1, keepdims=True)) * temperature
        parts = np.stack([gs @ k, gs.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ gm])
        gq = parts.transpose(1, 3, 0, 2, 4).reshape(-1, 3 * width)
        ga = gq @ qkv.T
        gradients = [(ga * normed1).sum(0), ga.sum(0), a.T @ gq, gq.sum(0), mixed.T @ gx, gx.sum(0)]
        gradients += [(gb * normed2).sum(0), gb.sum(0), b.T @ gh, gh.sum(0), h.T @ g, g.sum(0)]
        move(gradients)
        return loss

    return step


def normalized(x: Any) -> tuple[Any, Any]:
    """Each row less its mean and divided by its deviation; and the deviations."""
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(EPS))
    centred /= deviation
    return centred, deviation


def unnormalized(g: Any, y: Any, deviation: Any) -> Any:
    """The cotangent of what was normalised to y, from that of y."""
    return (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)) / deviation
