"""Matrix products by the BLAS of SciPy."""

from __future__ import annotations

import ctypes
import importlib
import itertools
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from product_kernels import Kernel, place_number, product_of, whole

from lazygrad.codegen import blas
from lazygrad.codegen.products import Place, Plan, Product
from lazygrad.codegen.registers import Register
from lazygrad.codegen.writer import Writer

carried = pytest.mark.skipif(not blas.addresses(), reason="SciPy's BLAS has another interface here")


@pytest.fixture
def anew() -> Iterator[None]:
    """BLAS looked up again, and once more afterwards."""
    blas.addresses.cache_clear()
    yield
    blas.addresses.cache_clear()


@pytest.fixture
def threads() -> Iterator[None]:
    """The number of threads put back afterwards."""
    before = blas.blas_threads()
    yield
    if before is not None:
        blas.set_blas_threads(before)


@carried
@pytest.mark.parametrize("layouts", [*itertools.product(["rows", "columns"], repeat=3)])
@pytest.mark.parametrize("sizes", [(17, 9, 33), (1, 9, 33), (17, 1, 33), (17, 9, 1), (1, 1, 5), (300, 200, 400)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_form_is_right(layouts: tuple[str, str, str], sizes: tuple[int, int, int], dtype: str) -> None:
    """Transposed operands and results are passed as they lie, and edges of size 1 do no harm."""
    m, n, k = sizes
    random = np.random.default_rng(0)
    a, b = whole(random, (m, k), dtype, layouts[0]), whole(random, (k, n), dtype, layouts[1])
    c = whole(random, (m, n), dtype, layouts[2])
    np.testing.assert_array_equal(a @ b, Kernel(blas.write_blas, a, b, c, blas.addresses()).run())


@carried
def test_parts_of_larger_matrices_are_taken_where_they_lie() -> None:
    """Rows may be further apart than they are long."""
    random = np.random.default_rng(1)
    a, b, c = (whole(random, (40, 50), "f4")[3:33, 7:37] for _ in range(3))
    np.testing.assert_array_equal(a @ b, Kernel(blas.write_blas, a, b, c, blas.addresses()).run())


@carried
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_batches_finish_and_accumulate(shared: bool, layout: str) -> None:
    """Every item is multiplied, sums begin at what C holds, and finish knows where its lanes belong."""
    random = np.random.default_rng(2)
    a = whole(random, (2, 3, 150, 70), "f8")
    b = whole(random, (70, 37) if shared else (2, 3, 70, 37), "f8")
    c = whole(random, (2, 3, 150, 37), "f8", layout)

    def written(product: Product, w: Writer) -> Plan:
        def finish(value: Register, place: Place) -> Register:
            return value * 2 + place_number(w, place, value.dtype)

        return blas.write_blas(product, w, finish, accumulate=True)

    i, j, row, column = np.ogrid[:2, :3, :150, :37]
    expected = 2 * (c + a @ b) + 1000 * row + column + 10**6 * i + 10**7 * j
    kernel = Kernel(written, a, b, c, blas.addresses())
    np.testing.assert_array_equal(expected, kernel.run(random.permutation(kernel.plan.chunks).tolist()))


@carried
@pytest.mark.parametrize("sizes", [(500, 400, 701), (400, 500, 701)])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_large_products_are_cut_along_their_longer_side(sizes: tuple[int, int, int], layout: str) -> None:
    """Chunks of rows or of columns, in any order, make the whole, and finish sees each element once."""
    m, n, k = sizes
    random = np.random.default_rng(4)
    a, b, c = whole(random, (m, k), "f4"), whole(random, (k, n), "f4", layout), np.zeros((m, n), "f4")

    def written(product: Product, w: Writer) -> Plan:
        return blas.write_blas(product, w, lambda value, place: value * 2 + 1)

    kernel = Kernel(written, a, b, c, blas.addresses())
    assert 2 == kernel.plan.chunks
    np.testing.assert_array_equal(2 * (a @ b) + 1, kernel.run([1, 0]))


@carried
@pytest.mark.parametrize("layout", ["steps", "reversed"])
def test_what_blas_cannot_take_is_refused(layout: str) -> None:
    """Spaced and reversed operands would need copies: they stay with register tiles."""
    random = np.random.default_rng(3)
    a, b, c = whole(random, (9, 9), "f4", layout), whole(random, (9, 9), "f4"), whole(random, (9, 9), "f4")
    product = product_of(a, b, c)
    assert not blas.takes(product)
    assert "inline" == blas.choose(product)
    with pytest.raises(ValueError) as caught:
        blas.write_blas(product, Writer(8))
    assert f"BLAS does not take {product}" == str(caught.value)


@pytest.mark.parametrize("dtype", ["i4", "i8", "?"])
def test_whole_numbers_are_not_for_blas(dtype: str) -> None:
    """There is ``gemm`` for floats only."""
    x = np.zeros((9, 9), dtype)
    assert not blas.takes(product_of(x, x, x))


def test_an_empty_product_is_not_for_blas() -> None:
    """Without k, the distance between rows would be 0."""
    assert not blas.takes(product_of(np.zeros((3, 0)), np.zeros((0, 4)), np.zeros((3, 4))))


def capsule(name: bytes, address: int = 1) -> object:
    """A capsule such as Cython makes, with the signature as its name."""
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return make(("PyCapsule_New", ctypes.pythonapi))(address, name, None)


WIDE = b"void (char *, char *, long *, long *, long *, d *, d *, long *, d *, long *, d *, d *, long *)"
OTHER = b"void (char *, char *, int *, int *, int *, s *, s *, int *, s *, int *, s *, s *)"


@pytest.mark.parametrize("name", [WIDE, OTHER, b"", b"void (void)"])
@pytest.mark.usefixtures("anew")
def test_another_signature_means_that_there_is_no_blas(name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``gemm`` with 64-bit integers, or with other arguments, is never called."""
    capsules = {"sgemm": capsule(name), "dgemm": capsule(name)}
    monkeypatch.setattr(importlib, "import_module", lambda _: SimpleNamespace(__pyx_capi__=capsules))
    assert {} == blas.addresses()


@pytest.mark.parametrize("capsules", [{}, {"sgemm": None, "dgemm": 7}])
@pytest.mark.usefixtures("anew")
def test_missing_functions_mean_that_there_is_no_blas(
    capsules: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not a capsule is not looked into, and products stay with register tiles."""
    monkeypatch.setattr(importlib, "import_module", lambda _: SimpleNamespace(__pyx_capi__=capsules))
    x = np.zeros((2000, 2000), "f4")
    assert {} == blas.addresses()
    assert "inline" == blas.choose(product_of(x.T, x, x))


@carried
@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_is_set_where_the_library_allows() -> None:
    """What was set is what the library tells, or nothing was done and False says so."""
    for count in (1, 2):
        assert blas.set_blas_threads(count) == (count == blas.blas_threads())
