"""Mathematical functions of registers, by our own polynomials.

Each takes and gives float32 or float64, narrow or wide, and keeps within the errors of ``docs/accuracy.md``. Special
values are NumPy's. Nothing is called from the platform's libraries, so results are the same bits everywhere. A function
that is decorated with ``@listed`` is what kernels call by its name: it stands in no other list.
"""

from __future__ import annotations

import inspect

from lazygrad.engine.lanes.functions import (
    error_function,
    exponential,
    gamma,
    hyperbolic,
    inverse_trigonometric,
    logarithm,
    normal,
    powers,
    trigonometric,
)
from lazygrad.engine.lanes.functions.core import FUNCTIONS

__all__ = ["FILES", "FUNCTIONS", "OPERANDS"]

FILES = (
    *(error_function, exponential, gamma, hyperbolic, inverse_trigonometric),
    *(logarithm, normal, powers, trigonometric),
)

# How many registers each takes.
OPERANDS = {name: len(inspect.signature(function).parameters) for name, function in FUNCTIONS.items()}
