"""Linear algebra, ``lg.linalg``: the array API's extension of that name, and what NumPy has beside it.

Matrices lie in the last two axes; axes before them are a batch. Decompositions compute in float32 or float64;
whole numbers become float64. Every function has derivatives of any order, reverse and forward, but for those
that its own description excludes.
"""

from lazygrad.names import publish as _publish
from lazygrad.ops.decompositions import cholesky as cholesky
from lazygrad.ops.decompositions import lu as lu
from lazygrad.ops.decompositions import qr as qr
from lazygrad.ops.determinants import det as det
from lazygrad.ops.determinants import slogdet as slogdet
from lazygrad.ops.fitting import lstsq as lstsq
from lazygrad.ops.indexing import diagonal as diagonal
from lazygrad.ops.linalg import expm as expm
from lazygrad.ops.linalg import matrix_power as matrix_power
from lazygrad.ops.linalg import multi_dot as multi_dot
from lazygrad.ops.linalg import trace as trace
from lazygrad.ops.movement import matrix_transpose as matrix_transpose
from lazygrad.ops.norms import cond as cond
from lazygrad.ops.norms import matrix_norm as matrix_norm
from lazygrad.ops.norms import matrix_rank as matrix_rank
from lazygrad.ops.norms import norm as norm
from lazygrad.ops.norms import vector_norm as vector_norm
from lazygrad.ops.products import cross as cross
from lazygrad.ops.products import dot as dot
from lazygrad.ops.products import einsum as einsum
from lazygrad.ops.products import inner as inner
from lazygrad.ops.products import kron as kron
from lazygrad.ops.products import matmul as matmul
from lazygrad.ops.products import outer as outer
from lazygrad.ops.products import tensordot as tensordot
from lazygrad.ops.products import vdot as vdot
from lazygrad.ops.products import vecdot as vecdot
from lazygrad.ops.solving import inv as inv
from lazygrad.ops.solving import pinv as pinv
from lazygrad.ops.solving import solve as solve
from lazygrad.ops.solving import solve_triangular as solve_triangular
from lazygrad.ops.spectral import eigh as eigh
from lazygrad.ops.spectral import eigvalsh as eigvalsh
from lazygrad.ops.spectral import svd as svd
from lazygrad.ops.spectral import svdvals as svdvals

_publish(__name__, "lg.linalg")
