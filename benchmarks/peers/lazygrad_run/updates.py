"""The optimizers of the workloads."""

from __future__ import annotations

import lazygrad as lg
from benchmarks.workloads.base import LEARNING_RATE, MOMENTUM


def optimizer(env: lg.VariableEnvironment, name: str) -> lg.optim.Adam | lg.optim.SGD:
    """The optimizer of that name, with the settings that all workloads share."""
    if name == "adam":
        return lg.optim.Adam(env, learning_rate=LEARNING_RATE)
    return lg.optim.SGD(env, learning_rate=LEARNING_RATE, momentum=MOMENTUM if name == "momentum" else 0.0)
