"""A strict double of CuPy 14 over NumPy, so that the CuPy backend is tested where there is no GPU.

It is CuPy as a kernel sees it: another class of array, which nothing converts by itself; only the functions, keywords
and dtypes of the real wheel (``facts.json``, which a test compares with the wheel where it is installed); and CuPy's
own ways where it does otherwise than NumPy: indices that wrap around, places named twice that are written in no order,
linear algebra that gives NaN in silence, and what else ``docs/cupy.md`` lists. It says nothing of a GPU's rounding,
speed or memory.

    install()          # ``import cupy`` now gives the double
    LAZYGRAD_TEST_BACKEND=double python -m pytest tests/ops       # a suite with backend="cupy" on it

``array`` is the class, ``ufuncs``, ``calls`` and ``linalg`` what is called on it; ``modules`` puts them together
under CuPy's names, and ``forced`` makes a run of the tests use it.
"""

from cupy_double.array import counts, ndarray
from cupy_double.modules import install, modules

__all__ = ["counts", "install", "modules", "ndarray"]
