"""Weight decay that does not pass through the moments: p ← p − λ·decay·p before the step (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from lazygrad.graph.tensor import Tensor
from lazygrad.optim.base import Numbers

__all__ = ["decayed", "left"]


def left(settings: Numbers) -> Numbers:
    """What the decay leaves of a parameter, as a setting; none, if the parameter does not decay."""
    if "weight_decay" not in settings:
        return {}
    return {"kept": 1 - settings["learning_rate"] * settings["weight_decay"]}


def decayed(p: Tensor, settings: Numbers) -> Tensor:
    """What the decay leaves of ``p``."""
    return p * settings["kept"] if "kept" in settings else p
