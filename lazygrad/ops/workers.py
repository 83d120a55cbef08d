"""Sums over workers: what a step says of several processes that run it, each with rows of its own."""

# Two ops, each the other's transpose. A value that is the same on all workers is replicated where a worker begins to
# compute with it on its own; what the workers have computed on their own is totalled where it becomes the same again.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import Opaque, tensor
from lazygrad.errors import GraphError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Spec, kept
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.movement import astype
from lazygrad.workers.among import ALONE, Among

__all__ = ["among", "total"]


@opaque(
    shape=lambda x, among: x,
    vjp=lambda g, y, x: g,
    jvp=lambda t, y, x, *, among: _total(t, among=among),
    dtype=kept,
)
def _total(xp: Any, x: Array, *, among: Among) -> Any:
    """The sum of x over all workers, on all of them."""
    return among.total(x)


@opaque(shape=lambda *xs, among, number: (), dtype=lambda kinds: (kinds, np.dtype(np.int64)), pure=False)
def _begins(xp: Any, *xs: Array, among: Among, number: int) -> Any:
    """The number of a sum over all workers that has begun, of operands that travel together."""
    among.begin(number, xs, xp)
    return xp.asarray(number, dtype=np.int64)


class _Arrival(Opaque):
    """A sum that has begun, when it is there: length and dtype are settings."""

    @staticmethod
    def memory(*, among: Among, number: int, length: int, dtype: Any) -> Any:
        """Where the sum is put."""
        return among.memory(number, length, np.dtype(dtype))

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Spec:
        """One axis."""
        return Spec((params["length"],), params["dtype"])


def _arrival(kernel: Any) -> Any:
    return _Arrival(kernel, None, None, lambda *_, length, **__: (length,), kept, False, False, False, False)


@_arrival
def _waits(xp: Any, token: Array, *, among: Among, number: int, length: int, dtype: Any) -> Any:
    """A sum that has begun, when it is there: all operands, one after the other."""
    return among.end(number)


def among(x: Tensor) -> Among:
    """The workers of the environment in which a tensor is."""
    context = x.graph.outermost.context
    found: Among = ALONE if context is None else context.among
    return found


@function
def total(x: TensorLike) -> Tensor:
    """The sum of ``x`` over all workers, the same on all of them; ``x`` itself where there is one worker.

    In a step that is given rows of a batch (by :func:`lg.fit`, :func:`lg.batches` or ``env.rows``) every value is that
    of the whole batch already, and so is its own total. In a step that is given arrays of its own on every worker,
    write the loss with it: ``lg.total(lg.sum(losses)) / lg.total(count)``.

    Its derivative passes a cotangent on as it is; that of a variable is the sum over all workers.
    """
    x = tensor(x)
    workers = among(x)
    if workers.size == 1 or x.graph.outermost.context.rows:
        return x
    if x.graph.innermost().what:
        cure = "Let the body give what each turn has as a y, and total that after the loop."
        what = f"cannot total in the body of {x.graph.innermost().what}: its turns do not wait for other workers"
        raise GraphError(report(what, at=here(), cure=cure))
    if x.dtype.char == "e":  # MPI knows no halves
        return astype(_total(astype(x, np.float32), among=workers), x.dtype)
    return _total(astype(x, np.int64) if x.dtype.kind == "b" else x, among=workers)
