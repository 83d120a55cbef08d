"""PyTorch with ``torch.compile`` of forward and loss, which compiles their gradient with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers import program

NAME = "torch.compile"
PACKAGES = ("torch",)


def load(family: str) -> Callable[[Any], Callable[[int], Any]]:
    """The programs of PyTorch, compiled for the shapes they are called with."""
    training = program("pytorch", family).training
    return lambda workload: training(workload, lambda function: torch.compile(function, dynamic=False))
