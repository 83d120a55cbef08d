"""Muon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import maximum
from lazygrad.ops.corners import length_of_all
from lazygrad.ops.movement import reshape
from lazygrad.ops.products import matmul
from lazygrad.optim.adam import AdamW
from lazygrad.optim.base import FRACTION, Numbers, Optimizer, Ranges, pair
from lazygrad.optim.decay import decayed
from lazygrad.optim.groups import GivenRates, GivenRule
from lazygrad.optim.schedules import Schedule

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Muon"]

# Of x ↦ a·x + b·x³ + c·x⁵, which takes what lies between 0 and 1 to near 1 in five rounds.
A, B, C = 3.4445, -4.775, 2.0315
ROUNDS = 5
LEAST = 1e-7  # what is shorter is not made longer


class Muon(AdamW):
    """Steps along a momentum whose singular values are made equal (Jordan et al. 2024, Muon).

    For a matrix v ← μ·v + (1−μ)·g and p ← p − λ·s·orthogonal((1−μ)·g + μ·v). Its singular values are brought near 1 by
    five rounds of X ← a·X + (b·M + c·M²)·X with M = X·Xᵀ, after Newton and Schulz. With s = 0.2·√max(rows, columns) a
    step is as long as one of AdamW (Liu et al. 2025, Muon is Scalable for LLM Training, §2.2). Of a kernel with more
    axes the first one is the rows, and the others together are the columns. Vectors and numbers are moved as
    :class:`AdamW` moves them, with ``betas`` and ``eps``. The authors leave embeddings and the last layer to AdamW
    too: give those variables to another optimizer.

    Args:
        env: the environment.
        learning_rate: λ.
        momentum: μ.
        weight_decay: p ← p − λ·decay·p before the step.
        betas, eps: of AdamW, for vectors.
        name: namespace of its state.
        rates: learning rates of parts of a network by names, see :class:`Optimizer`.
        decay: which variables decay, by names or a function, see :class:`Optimizer`; all, if not given.
    """

    by_element = False
    ranges: ClassVar[Ranges] = {**AdamW.ranges, "momentum": FRACTION}

    def __init__(
        self,
        env: VariableEnvironment,
        learning_rate: float | Schedule = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        beta1, beta2 = pair("betas", betas)
        settings = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
        settings |= {"beta1": beta1, "beta2": beta2, "eps": eps}
        Optimizer.__init__(self, env, settings, name, rates=rates, decay=decay)

    def prepare(self, settings: Numbers) -> Numbers:
        """As AdamW's, with what matrices need."""
        own = {"length": 0.2 * settings["learning_rate"], "momentum": settings["momentum"]}
        return {**super().prepare(settings), **own, "rest": 1 - settings["momentum"]}

    def state_shapes(self, shape: Shape) -> dict[str, Shape]:
        """A momentum for a matrix, the two moments of AdamW for a vector."""
        return {"velocity": shape} if len(shape) > 1 else {"m": shape, "v": shape}

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """The update of one parameter."""
        if p.ndim < 2:
            return super().step(p, g, state, settings)
        rows, columns = p.shape[0], math.prod(p.shape[1:])
        v = settings["momentum"] * state["velocity"] + settings["rest"] * g
        ahead = reshape(settings["rest"] * g + settings["momentum"] * v, (rows, columns))
        direction = max(rows, columns) ** 0.5 * reshape(_orthogonal(ahead), p.shape)
        p = decayed(p, settings)
        return p - settings["length"] * direction, {"velocity": v}


def _orthogonal(x: Tensor) -> Tensor:
    """A matrix with the singular vectors of ``x``, and singular values near 1."""
    if not x.size:
        return x
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / maximum(length_of_all([x]), LEAST)
    for _ in range(ROUNDS):
        m = matmul(x, x.T)
        x = A * x + matmul(B * m + C * matmul(m, m), x)
    return x.T if tall else x
