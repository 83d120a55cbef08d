"""The functions of LAPACK and BLAS that native code calls, and their parameters."""

from __future__ import annotations

import numpy as np

from lazygrad.engine.lanes.registers import F32, F64

__all__ = ["FUNCTIONS", "LETTERS", "PREFIX", "signature"]

PREFIX = "lazygrad_"  # before the names by which native code knows them
LETTERS: dict[np.dtype[np.floating], str] = {F32: "s", F64: "d"}

# Their parameters, all of them addresses: c of a letter, i of a whole number of 32 bits, x of numbers of the dtype.
FUNCTIONS = {
    # BLAS: products, and triangular systems.
    "gemm": "cciiixxixixxi",
    "trmm": "cccciixxixi",
    "trsm": "cccciixxixi",
    "trsv": "cccixixi",
    # LAPACK: factors, what is made of them, and spectra.
    "potrf": "cixii",
    "trtri": "ccixii",
    "lauum": "cixii",
    "getrf": "iixiii",
    "getrs": "ciixiixii",
    "getri": "ixiixii",
    "geqrf": "iixixxii",
    "orgqr": "iiixixxii",
    "syevd": "ccixixxiiii",
    "gesdd": "ciixixxixixiii",
}


def signature(name: str, letter: str) -> str:
    """A regular expression for its type in C, as Cython writes it."""
    kind = {"s": "float", "d": "double"}[letter]
    number = rf"(?:{kind}|\w*cython_(?:blas|lapack)_{letter}|{letter}) \*"
    kinds = {"c": r"char \*", "i": r"int \*", "x": number}
    return rf"void \({', '.join(kinds[parameter] for parameter in FUNCTIONS[name])}\)"
