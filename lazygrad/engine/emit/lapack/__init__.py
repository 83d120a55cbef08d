"""Linear algebra of matrices in native code, by calls of LAPACK."""

from lazygrad.engine.emit.lapack.form import Decomposition, Matrix
from lazygrad.engine.emit.lapack.names import FUNCTIONS, PREFIX, signature
from lazygrad.engine.emit.lapack.write import write

__all__ = ["FUNCTIONS", "PREFIX", "Decomposition", "Matrix", "signature", "write"]
