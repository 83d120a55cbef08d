"""A run of the tests that keeps every kernel it would have a GPU run: all that is lowered, written for threads too.

``LAZYGRAD_TEST_KERNELS=FOLDER`` asks for it, and ``conftest.py`` for this;
``python -m benchmarks.assembling --kept FOLDER`` then assembles what was kept.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["keep"]


def keep(folder: Path) -> None:
    """From now on write every plan that is lowered for threads too, and keep its kernels in a folder."""
    sys.path.append(str(Path(__file__).parents[2]))
    from benchmarks.assembling import Kernels
    from lazygrad.engine.cuda.target import GPU
    from lazygrad.engine.machine import BodyPlan
    from lazygrad.engine.table import lower

    folder.mkdir(parents=True, exist_ok=True)
    kernels, native_of = Kernels(), lower._native

    def noted(code: Any, results: Any, inputs: Any, given: Any = None) -> Any:
        native = native_of(code, results, inputs, given)
        plan = native.plan
        if isinstance(plan, BodyPlan):  # its kernels are among those of the plan around it
            return native
        if code.target.lanes != GPU.lanes:
            lower.lowered(plan, GPU)
        elif code.target is GPU:
            test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
            kernels.write(folder, kernels.add(native, test))
        return native

    lower._native = noted
