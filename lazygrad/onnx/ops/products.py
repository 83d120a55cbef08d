"""Products of matrices and of tensors."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from lazygrad.onnx.ops.table import At, Weight, op


@op("MatMul")
def matmul(at: At, a: Any, b: Weight) -> Any:
    """The product of matrices, or of many of them."""
    return lg.matmul(a, b)


@op("Gemm")
def gemm(at: At, a: Any, b: Weight, c: Any = None, *, alpha: float, beta: float, transA: int, transB: int) -> Any:
    """α·A·B + β·C."""
    a, b = a.T if transA else a, b.T if transB else b
    y = _scaled(lg.matmul(a, b), alpha)
    return y if c is None else y + _scaled(c, beta)


def _scaled(x: Any, factor: float) -> Any:
    return x if factor == 1 else lg.astype(factor * x, x.dtype)


@op("Einsum")
def einsum(at: At, *xs: Any, equation: str) -> Any:
    """A sum of products, by letters."""
    return lg.einsum(equation.replace(" ", ""), *xs)


@op("Det")
def det(at: At, x: Any) -> Any:
    """The determinant."""
    return lg.linalg.det(x)
