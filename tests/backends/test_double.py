"""The double of CuPy is as strict as CuPy: it has no more than the wheel, and is other than NumPy where CuPy is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cupy_double import counts, ndarray
from cupy_double.differences import DIFFERENCES
from cupy_double.facts import read_facts, stored_facts

from lazygrad.backends import products


@pytest.fixture
def wheel() -> Any:
    """The real CuPy, with or without a GPU."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: its facts are those of facts.json")
    if "double" in cupy.__version__:
        pytest.skip("the double stands in place of CuPy")
    return cupy


def test_the_facts_are_those_of_the_wheel(wheel: Any) -> None:
    """Of the wheel they were read from all of them; of another one, that it still has all that the double has."""
    import cupyx.scipy.special

    stored, read = stored_facts(), read_facts(wheel, cupyx.scipy.special)
    if stored["version"] == read["version"]:
        assert stored == read
    for group in ("ufuncs", "special"):
        for name, types in stored[group].items():
            assert set(types.split()) <= set(read[group][name].split()), f"run tests/cupy_double/facts.py: {name}"
    for group in ("cuda", "modules"):
        for name, members in stored[group].items():
            assert set(members) <= set(read[group][name]), f"run tests/cupy_double/facts.py: {name}"
    assert stored["compute types"] == read["compute types"]
    for group in ("functions", "linalg", "array"):
        assert set(stored[group]) <= set(read[group]), f"run tests/cupy_double/facts.py: {group}"


def test_an_array_of_the_double_has_no_attribute_that_cupys_has_not() -> None:
    """Nor a function."""
    public = {name for name in dir(ndarray) if not name.startswith("_")}
    assert public <= set(stored_facts()["array"])


def test_the_runtime_of_the_double_has_nothing_that_cupys_has_not(double: Any) -> None:
    """Streams, events, graphs, devices, and the functions beside them."""
    facts = stored_facts()
    for name, members in facts["cuda"].items():
        assert {one for one in dir(getattr(double.cuda, name)) if not one.startswith("_")} <= {*members, "null"}
    for name, members in facts["modules"].items():
        assert vars(getattr(double.cuda, name)).keys() <= set(members)
    assert {"DEFAULT": products.DEFAULT, "PEDANTIC": products.PEDANTIC, "TF32": products.TF32} == facts["compute types"]


def test_only_launches_may_be_captured(double: Any) -> None:
    """Everything else is refused in the middle of it, and so is the stream that is there by itself."""
    stream, x = double.cuda.Stream(non_blocking=True), double.zeros(3)
    with pytest.raises(RuntimeError, match="legacy"):
        double.cuda.Stream.null.begin_capture()
    with stream:
        stream.begin_capture()
        for forbidden in (lambda: x + 1, lambda: float(x[0]), x.get, lambda: x.fill(2), lambda: x.set(np.zeros(3))):
            with pytest.raises(RuntimeError, match="capturing"):
                forbidden()
        graph = stream.end_capture()
    graph.launch()
    assert [0, 0, 0] == x.get().tolist()


def test_what_is_late_on_a_gpu_is_late(double: Any) -> None:
    """A number that is copied without waiting, and a change of memory that is still being copied."""
    import cupyx

    word, x = cupyx.empty_pinned(1, np.int64), double.ones(1, np.int64)
    word[0] = 0
    x.get(out=word, blocking=False)
    event = double.cuda.get_current_stream().record()
    assert (0, False) == (int(word[0]), event.done)
    event.synchronize()
    assert 1 == word[0]
    x.set(word)
    word[0] = 5
    with pytest.raises(AssertionError, match="changed before it was copied"):
        double.cuda.get_current_stream().synchronize()


def test_nothing_is_converted_unasked(double: Any) -> None:
    """Neither to the host nor from it."""
    x = double.arange(3)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(x)
    for f in (lambda: x + np.arange(3), lambda: double.add(x, np.arange(3)), lambda: double.sum(np.arange(3))):
        with pytest.raises(TypeError, match="Unsupported type"):
            f()


def test_only_the_keywords_and_loops_of_the_wheel_are_there(double: Any) -> None:
    """What NumPy has beside them is refused."""
    x = double.arange(3.0)
    with pytest.raises(TypeError, match="where"):
        double.sum(x, where=x > 0)
    with pytest.raises(TypeError, match="Wrong type"):
        double.bitwise_and(x, x)
    with pytest.raises(AttributeError):
        _ = double.busday_count
    with pytest.raises(TypeError, match="expected list"):
        double.concatenate((x, x))


def test_indices_wrap_around_in_silence(double: Any) -> None:
    """Read and written."""
    x = double.arange(5)
    counts.clear()
    np.testing.assert_array_equal(x[double.asarray([5, -6])].get(), [0, 4])
    x[double.asarray([7])] = 9
    np.testing.assert_array_equal(x.get(), [0, 1, 9, 3, 4])
    assert 2 == counts["wrapped indices"]


def test_of_values_for_one_place_the_last_does_not_stay(double: Any) -> None:
    """Any may; here it is the first."""
    x = double.zeros(3)
    x[double.asarray([1, 1])] = double.asarray([5.0, 6.0])
    np.testing.assert_array_equal(x.get(), [0, 5, 0])


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "int64"])
def test_places_of_some_dtypes_cannot_be_added_to(double: Any, dtype: str) -> None:
    """CUDA has no atomic addition of them."""
    with pytest.raises(TypeError, match="scatter_add only supports"):
        double.add.at(double.zeros(3, dtype), double.asarray([0]), 1)


def test_linear_algebra_is_silent_unless_told_to_raise(double: Any) -> None:
    """NaN for what is singular or indefinite; a zero on a diagonal of a triangle is never told."""
    import cupyx
    import cupyx.scipy.linalg

    zeros = double.zeros((2, 2))
    for f in (double.linalg.inv, lambda a: double.linalg.solve(a, a), lambda a: double.linalg.cholesky(a - 1)):
        assert np.isnan(f(zeros).get()).all()
        with cupyx.errstate(linalg="raise"), pytest.raises(np.linalg.LinAlgError):
            f(zeros)
    with cupyx.errstate(linalg="raise"):
        assert np.isnan(cupyx.scipy.linalg.solve_triangular(zeros, double.ones((2, 1))).get()).all()


def test_arithmetic_is_cupys_own(double: Any) -> None:
    """Negative powers, quotients rounded twice, casts that saturate, reductions to arrays."""
    import cupyx.scipy.special

    a = double.asarray
    np.testing.assert_array_equal(double.power(a([2, 1, -1]), a([-1, -2, -3])).get(), [0, 1, -1])
    assert 10 == double.floor_divide(a(1.0), a(0.1)).item()
    assert 9 == np.floor_divide(1.0, 0.1)
    np.testing.assert_array_equal(a([300.0, -1.0, np.nan, 3.9]).astype("uint8").get(), [255, 0, 0, 3])
    np.testing.assert_array_equal(
        a([1e30, -np.inf, np.nan]).astype("int64").get(), [np.iinfo(np.int64).max, np.iinfo(np.int64).min, 0]
    )
    assert (ndarray, ()) == (type(double.sum(a([1, 2]))), double.sum(a([1, 2])).shape)
    with pytest.raises((AttributeError, TypeError)):
        cupyx.scipy.special.polygamma(1, a([1.0]))
    assert [True, False, True] == double.less(a([-1, 2**63 - 1, 0]), a(np.array([0, 0, 2**63], np.uint64))).tolist()


def test_whole_numbers_beyond_64_bits_are_refused(double: Any) -> None:
    """They would be objects."""
    with pytest.raises(ValueError, match="Unsupported dtype object"):
        double.asarray(2**64)


def test_the_page_on_cupy_lists_what_is_skipped_on_the_double() -> None:
    """Every reason, and no other; and the tests that are named are there."""
    root = Path(__file__).parents[2]
    page = (root / "docs" / "cupy.md").read_text(encoding="utf-8")
    listed = page.partition("`tests/cupy_double/differences.py`:\n\n")[2].splitlines()
    assert [f"- {reason}" for reason in DIFFERENCES] == listed
    for test in [test for tests in DIFFERENCES.values() for test in tests]:
        file, _, name = test.partition("[")[0].partition("::")
        assert re.search(rf"^def {name}\(", (root / file).read_text(encoding="utf-8"), re.MULTILINE), test
