"""Ops of matrices, and of sequences, of which there are many: each worker has some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.define.kinds import item
from lazygrad.derivative.jacobian import _with_gradient
from lazygrad.distribute.rules import rule
from lazygrad.distribute.sharing import Sharing
from lazygrad.distribute.states import Value
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.nn.recursion import _backward, _forward, _recursion
from lazygrad.ops.decompositions import _cholesky, _cholesky_cotangent, _cholesky_inverse, _lu, _qr, _qr_complete
from lazygrad.ops.determinants import _slogdet, det
from lazygrad.ops.linalg import expm
from lazygrad.ops.solving import _pinv, _solve, _solve_triangular, inv
from lazygrad.ops.spectral import _eigh, _eigvalsh, _svd, _svd_full, _svdvals

__all__: list[str] = []


def _each(to: Sharing, node: Node, given: Sequence[Value], axes: Sequence[int]) -> Any:
    """The op of what is a worker's own, which lies along these axes of the operands, and of the results along 0."""
    split = next(v.split for v in given if v.split is not None)
    number = next(k for k, v in enumerate(given) if v.split is not None)
    at = [split.at(split.axis - axes[number] + axis) for axis in axes]
    counts = {v.shape[s.axis] for v, s in zip(given, at, strict=True)}
    if any(v.split is not None and v.split != s for v, s in zip(given, at, strict=True)) or len(counts) > 1:
        return None
    y = to.again(node, [to.split(v, s) for v, s in zip(given, at, strict=True)])
    first = split.at(split.axis - axes[number])
    if isinstance(node.spec, Spec):
        return Value(y, first, node.spec.shape)
    return tuple(Value(item(y, index=k), first, spec.shape) for k, spec in enumerate(node.spec))


@rule(inv, det, expm, _slogdet, _cholesky, _cholesky_inverse, _cholesky_cotangent, _lu, _qr, _qr_complete)
@rule(_eigh, _eigvalsh, _svd, _svd_full, _svdvals, _solve, _solve_triangular)
def _matrices(to: Sharing, node: Node, given: Sequence[Value]) -> Any:
    """Matrices, of which axes in front count how many there are: as many in every operand."""
    if len({len(v.shape) for v in given}) > 1:
        return None
    if any(v.split is not None and v.split.axis >= len(v.shape) - 2 for v in given):
        return None
    return _each(to, node, given, [0] * len(given))


@rule(_pinv)
def _pseudoinverse(to: Sharing, node: Node, given: Sequence[Value]) -> Any:
    """Likewise, beside a tolerance for each, or for all."""
    a, tolerance = given
    if a.split is None or a.split.axis >= len(a.shape) - 2 or len(tolerance.shape) > 0:
        return None
    return Value(to.again(node, [a.local, to.whole(tolerance)]), a.split, _shape(node))


def _shape(node: Node) -> Any:
    assert isinstance(node.spec, Spec)
    return node.spec.shape


@rule(_recursion, _forward, _backward)
def _sequences(to: Sharing, node: Node, given: Sequence[Value]) -> Any:
    """Sequences, beside weights whose second axis counts them."""
    wanted = {0: 0, 1: 1}
    if any(v.split is not None and v.split.axis != wanted[k] for k, v in enumerate(given)):
        return None
    return _each(to, node, given, [0, 1])


@rule(_with_gradient)
def _given_gradient(to: Sharing, node: Node, given: Sequence[Value]) -> Any:
    """The first operand: its gradient has been written."""
    return given[0]
