"""One vector of many arrays, and back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.movement import astype, concat, flatten, reshape
from lazygrad.store.variables import Variable
from lazygrad.trees import leaves, rebuilt

__all__ = ["ravel"]


@function
def ravel(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All elements of a nested structure as one vector, and the function that makes the structure of such a vector.

    For what takes vectors, such as a solver. Both ways are differentiable. Where ``tree`` holds arrays alone, and no
    tensor, the vector is an array too, and nothing need be running.

    Args:
        tree: lists, tuples and dicts, nested, of tensors, arrays, variables (their values) and numbers.

    Returns:
        The vector, in the dtype to which all are promoted, and ``back``. ``back(vector)`` has the nesting, shapes and
        dtypes of ``tree``; it takes a tensor or an array.

    Raises:
        SpecError: by ``back``: the vector has not as many elements.
    """
    found = [leaf for _, leaf in leaves(tree)]
    first = next((x for x in found if isinstance(x, Tensor)), None)
    if first is None:
        arrays = [x._env._store.backend.to_numpy(x.value) if isinstance(x, Variable) else np.asarray(x) for x in found]
        specs = [Spec(a.shape, a.dtype) for a in arrays]
        vector: Any = np.concatenate([a.reshape(-1) for a in arrays]) if arrays else np.zeros(0)
    else:
        parts = [tensor(x.value if isinstance(x, Variable) else x, first.graph) for x in found]
        specs = [x.spec for x in parts]
        vector = concat([flatten(x) for x in parts])

    def back(vector: Any) -> Any:
        return rebuilt(tree, _parts(vector, specs))

    return vector, back


def _parts(vector: Any, specs: list[Spec]) -> list[Any]:
    vector = vector if isinstance(vector, Tensor) else np.asarray(vector)
    total = sum(spec.size for spec in specs)
    if vector.shape != (total,):
        given = vector.spec if isinstance(vector, Tensor) else Spec(vector.shape, vector.dtype)
        cure = f"The structure has {total} elements; the vector must have as many, along one axis."
        raise SpecError(report(f"cannot make the structure of {given}", at=here(), cure=cure))
    ends = itertools.accumulate(spec.size for spec in specs)
    pieces = [vector[end - spec.size : end] for end, spec in zip(ends, specs, strict=True)]
    if isinstance(vector, Tensor):
        return [astype(reshape(p, spec.shape), spec.dtype) for p, spec in zip(pieces, specs, strict=True)]
    return [p.reshape(spec.shape).astype(spec.dtype) for p, spec in zip(pieces, specs, strict=True)]
