"""An LSTM, backwards through its sequence by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.numpy_by_hand.losses import cross_entropy
from benchmarks.peers.numpy_by_hand.updates import optimizer
from benchmarks.workloads.base import BATCHES
from benchmarks.workloads.lstm import LSTM


def training(workload: LSTM) -> Callable[[int], Any]:
    """The step; what depends on the inputs alone is one matrix product for the whole sequence."""
    parameters, batches = workload.numbers()
    w, b, v, d = parameters
    wx, wh = w[: workload.inputs], w[workload.inputs :]
    move = optimizer("momentum", parameters)
    batches = [(np.ascontiguousarray(x.swapaxes(0, 1)), y) for x, y in batches]  # time first
    length, n = workload.length, workload.hidden
    state = np.zeros((length + 1, workload.batch, n), np.float32)
    cells = np.zeros_like(state)
    gates = np.empty((length, workload.batch, 4 * n), np.float32)

    def step(number: int) -> Any:
        x, y = batches[number % BATCHES]
        np.matmul(x, wx, out=gates)
        gates[:] += b
        tanhs = []
        for t in range(length):
            z = gates[t]
            z += state[t] @ wh
            z[:, : 2 * n] = sigmoid(z[:, : 2 * n])
            z[:, 2 * n : 3 * n] = np.tanh(z[:, 2 * n : 3 * n])
            z[:, 3 * n :] = sigmoid(z[:, 3 * n :])
            i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
            cells[t + 1] = f * cells[t] + i * g
            tanhs.append(np.tanh(cells[t + 1]))
            state[t + 1] = o * tanhs[t]
        loss, dz = cross_entropy(state[length] @ v + d, y)
        dv, dd = state[length].T @ dz, dz.sum(0)
        dh, dc = dz @ v.T, np.zeros_like(state[0])
        for t in reversed(range(length)):
            z = gates[t]  # whose place its cotangent takes
            i, f, g, o = (z[:, k * n : (k + 1) * n].copy() for k in range(4))
            dc += dh * o * (1 - tanhs[t] * tanhs[t])
            z[:, :n] = dc * g * i * (1 - i)
            z[:, n : 2 * n] = dc * cells[t] * f * (1 - f)
            z[:, 2 * n : 3 * n] = dc * i * (1 - g * g)
            z[:, 3 * n :] = dh * tanhs[t] * o * (1 - o)
            dh = z @ wh.T
            dc *= f
        flat = gates.reshape(-1, 4 * n)
        dw = np.concatenate([x.reshape(-1, workload.inputs).T @ flat, state[:length].reshape(-1, n).T @ flat])
        move([dw, flat.sum(0), dv, dd])
        return loss

    return step


def sigmoid(z: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + np.exp(-z))
