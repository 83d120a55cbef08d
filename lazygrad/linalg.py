"""Linear algebra, ``lg.linalg``: the array API's extension of that name, and what NumPy has beside it.

Matrices lie in the last two axes; axes before them are a batch. Decompositions compute in float32 or float64;
whole numbers become float64. Every function has derivatives of any order, reverse and forward, but for those
that its own description excludes.
"""

import sys
from typing import TYPE_CHECKING

from lazygrad.names import lister, public, refuser
from lazygrad.ops.decompositions import cholesky, lu, qr
from lazygrad.ops.determinants import det, slogdet
from lazygrad.ops.fitting import lstsq
from lazygrad.ops.indexing import diagonal
from lazygrad.ops.linalg import expm, matrix_power, multi_dot, trace
from lazygrad.ops.movement import matrix_transpose
from lazygrad.ops.norms import cond, matrix_norm, matrix_rank, norm, vector_norm
from lazygrad.ops.products import cross, dot, einsum, inner, kron, matmul, outer, tensordot, vdot, vecdot
from lazygrad.ops.solving import inv, pinv, solve, solve_triangular
from lazygrad.ops.spectral import eigh, eigvalsh, svd, svdvals

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "dot",
    "eigh",
    "eigvalsh",
    "einsum",
    "expm",
    "inner",
    "inv",
    "kron",
    "lstsq",
    "lu",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vdot",
    "vecdot",
    "vector_norm",
]

public["lg.linalg"] = sys.modules[__name__]
__dir__ = lister(__all__)
if not TYPE_CHECKING:  # type checkers know what there is
    __getattr__ = refuser("lg.linalg")
