"""An LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform, descending, optimizer, owned
from benchmarks.workloads.lstm import LSTM


def training(workload: LSTM, transform: Transform) -> Callable[[int], Any]:
    """The step, with PyTorch's own layer: one that is written out takes twice as long, and compiled no less than this.

    ``torch.compile`` leaves the layer as it is.
    """
    numbers, batches = workload.numbers()
    w, b, v, d = owned(numbers)
    layer = torch.nn.LSTM(workload.inputs, workload.hidden, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(w[: workload.inputs].T)
        layer.weight_hh_l0.copy_(w[workload.inputs :].T)
        layer.bias_ih_l0.copy_(b)
        layer.bias_hh_l0.zero_()
    layer.bias_hh_l0.requires_grad_(False)  # a second bias that the workload has not

    def forward(x: Any, y: Any) -> Any:
        _, (h, _) = layer(x)
        return torch.nn.functional.cross_entropy(h[0] @ v + d, y)

    trained = [p for p in layer.parameters() if p.requires_grad]
    return descending(transform(forward), optimizer("momentum", [*trained, v, d]), batches)
