"""Models with open sizes: written once, and compared with the step at several sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_run

from lazygrad.step.compiled import Compiled

__all__ = ["SIZES", "compare", "written"]

SIZES = (1, 2, 7, 64)
Arrays = Callable[[Any, int], tuple[Any, ...]]


def written(step: Compiled, folder: Path, *arrays: Any, **settings: Any) -> Any:
    """The model that a step is exported to."""
    import onnx

    (file,) = step.export(folder / "model.onnx", *arrays, **settings)
    return onnx.load(file)


def compare(step: Compiled, folder: Path, arrays: Arrays, run: Callable[..., Any], batch: Any = "batch") -> Any:
    """The model of a step for arrays of 4 examples, which must give what ``run`` gives for any number of them."""
    rng = np.random.default_rng(0)
    model = written(step, folder, *arrays(rng, 4), batch=batch)
    for n in SIZES:
        given = arrays(rng, n)
        said = onnx_run.apart(onnx_run.listed(run(*given)), onnx_run.run_model(model, *given))
        assert not said, f"{n} examples: {said}"
    return model
