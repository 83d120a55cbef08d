"""Dtypes: whole numbers become floating before they are scaled, halves are added up in float32, casts have one
meaning, and Python's floats have the environment's dtype.

Expected values are computed by NumPy in float64, or follow from whole numbers of Python's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES
from two_ways import raised, slope, value

import lazygrad as lg
from lazygrad.graph.casting import cast, saturated

INF, NAN = np.inf, np.nan
SMALL = ["uint8", "int8", "bool"]
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
HALF = np.float16


def computed(f: Callable[..., Any], arrays: Any, dtype: str = "float64") -> list[Any]:
    """What ``f`` gives in an environment of that dtype, as a list of arrays."""
    found = lg.VariableEnvironment(seed=0, dtype=dtype).run(lambda ctx, *xs: f(*xs), *arrays)
    return [np.asarray(y) for y in (found if isinstance(found, (tuple, list)) else [found])]


# Every public function. A row whose own lambda casts, or does arithmetic of whole numbers before it calls the
# function, says nothing of the function.

ROWS = [c for c in CASES if c.domains and c.name not in ("astype", "show", "hook", "grad", "jvp", "custom_gradient")]
OWN_ARITHMETIC = ("linalg.eigh", "linalg.eigvalsh", "linalg.cholesky", "jacobian", "hessian", "hessian_vector_product")
NAMES = {"acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan"}
NAMES |= {"atanh": "arctanh", "atan2": "arctan2", "pow": "power"}


def is_ufunc(name: str) -> bool:
    """Whether NumPy has a ufunc of that name, whose dtypes are then the function's: exp of uint8 is float16."""
    return isinstance(getattr(np, NAMES.get(name, name), None), np.ufunc)


def whole_numbers(dtype: str, arrays: Any) -> list[Any]:
    """Samples as small whole numbers, of both signs where there are."""
    made = []
    for a in arrays:
        if a.dtype.kind != "f":
            made.append(a)
        elif dtype == "bool":
            made.append(a > (np.median(a) if a.size else 0))
        else:
            made.append(np.round(np.abs(a) * 40 if dtype == "uint8" else np.clip(a * 60, -128, 127)).astype(dtype))
    return made


# Of arrays with three axes, which nn.ctc gives them in float32 or float64.
RECURSIONS = ("_forward", "_backward")


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize("case", [c for c in ROWS if c.name not in OWN_ARITHMETIC], ids=str)
def test_a_function_of_small_whole_numbers_that_gives_floats_computes_in_float64(case, dtype):
    """Their differences have no sign, their squares wrap; NumPy's own ufuncs have NumPy's dtypes."""
    given = case.sample("float64")
    arrays = whole_numbers(dtype, given)
    wide = [a if a.dtype == b.dtype else a.astype("float64") for a, b in zip(arrays, given, strict=True)]
    try:
        found = computed(case.call, arrays)
        expected = computed(case.call, wide)
    except (lg.LazygradError, ValueError, TypeError, np.linalg.LinAlgError):
        return  # it is not of whole numbers, or such a matrix is singular: tests of the function say so
    for a, b in zip(found, expected, strict=True):
        if a.dtype.kind == "f" and not is_ufunc(case.name):
            assert "float64" == a.dtype
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1, 200])
@pytest.mark.parametrize("case", [c for c in ROWS if c.name not in ("nn.one_hot", *RECURSIONS)], ids=str)
def test_a_function_of_halves_is_rounded_once(case, scale):
    """Within two roundings of what float64 gives, also where a square or a sum on the way is beyond 65504."""
    with np.errstate(over="ignore"):
        arrays = [(a * scale).astype(HALF) if a.dtype.kind == "f" else a for a in case.sample("float64")]
    try:
        found = computed(case.call, arrays)
        expected = computed(case.call, [a.astype("float64") if a.dtype == HALF else a for a in arrays])
    except (lg.SpecError, np.linalg.LinAlgError):
        return  # LAPACK has no halves; bits are of whole numbers
    for a, b in zip(found, expected, strict=True):
        if a.dtype.kind != "f":
            continue
        with np.errstate(over="ignore"):
            rounded = b.astype(HALF)
        assert HALF == a.dtype
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(a[~finite], rounded[~finite])
        size = max(float(np.max(np.abs(rounded[finite].astype(float)), initial=0)), 1e-3)
        off = np.abs(a[finite].astype(float) - rounded[finite])
        assert np.max(off, initial=0) <= 2 * 2.0**-10 * size


# These want a tensor, say a dtype, or are operators, which are Python's own of Python's numbers.
LISTED = ("grad", "jvp", "getitem", "at", "astype", "nn.one_hot", "pow", "_on_diagonal", *OWN_ARITHMETIC, *RECURSIONS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [c for c in CASES if c.name not in LISTED], ids=str)
def test_a_function_of_python_numbers_alone_has_the_environments_dtype(case, dtype):
    """Of single numbers, and of lists of them."""
    samples = case.sample("float64")
    for given in ([a.tolist() for a in samples], [a.ravel()[0].item() if a.size else 1.0 for a in samples]):
        try:
            found = computed(lambda given=given: case.call(*given), [], dtype)
        except (lg.LazygradError, AttributeError, TypeError, ValueError, np.linalg.LinAlgError):
            continue  # it wants a tensor, or one with axes
        assert [dtype for y in found if y.dtype.kind == "f"] == [y.dtype.name for y in found if y.dtype.kind == "f"]


# Whole numbers.


def test_softmax_of_bytes_is_that_of_the_numbers():
    """Row by row, e¹ : e² : e³."""
    x = np.array([1, 2, 3], "uint8")
    e = np.exp([1.0, 2.0, 3.0])
    for f, expected in ((lg.nn.softmax, e / e.sum()), (lg.nn.log_softmax, np.log(e / e.sum()))):
        found = value(f, x)
        assert "float64" == found.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lg.mean, 2.0**62),
        (lg.median, 2.0**62),
        (lg.average, 2.0**62),
        (lg.var, 0.0),
        (lg.std, 0.0),
        (lambda x: lg.nn.avg_pool2d(x.reshape(1, 3), (1, 3)), [[2.0**62]]),
        (lg.logsumexp, 2.0**62),
    ],
    ids=["mean", "median", "average", "var", "std", "avg_pool2d", "logsumexp"],
)
def test_statistics_of_large_whole_numbers_do_not_wrap(f, expected):
    """Three times 2⁶² is beyond int64."""
    np.testing.assert_array_equal(value(f, np.array([2**62] * 3)), expected)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(np.int8(-128), np.int8(127), False), (np.uint8(0), np.uint8(255), False), (np.uint8(3), np.uint8(2), True)],
)
def test_isclose_measures_the_distance_of_whole_numbers(a, b, expected):
    """−128 and 127 are 255 apart, not −1."""
    assert expected == value(lambda a, b: lg.isclose(a, b, rtol=0, atol=1), a, b)


def test_losses_of_bytes_have_signs():
    """0 − 255 is −255."""
    p, t = np.array([0, 3], "uint8"), np.array([255, 1], "uint8")
    np.testing.assert_array_equal([65025.0, 4.0], value(lg.nn.mean_squared_error, p, t))
    np.testing.assert_array_equal([255.0, 2.0], value(lg.nn.mean_absolute_error, p, t))
    np.testing.assert_array_equal([254.5, 1.5], value(lg.nn.huber, p, t))


def test_exact_functions_of_whole_numbers_stay_whole():
    """Sums are taken in NumPy's wider dtype, what wraps in NumPy wraps."""
    x = np.array([200, 100], "uint8")
    for f, reference in ((lg.sum, np.sum), (lg.max, np.max), (lg.cumulative_sum, np.cumsum), (lg.square, np.square)):
        found, expected = value(f, x), reference(x)
        assert expected.dtype == found.dtype
        np.testing.assert_array_equal(expected, found)


def test_whole_numbers_with_and_without_a_sign_are_compared_exactly():
    """2⁶³ − 1 < 2⁶³, which are one number in float64."""
    a, b = np.array([2**63 - 1, -1, 5]), np.array([2**63, 2**64 - 1, 4], "uint64")
    assert [[True, True, False], [False, False, False]] == [
        x.tolist() for x in value(lambda a, b: (a < b, lg.equal(a, b)), a, b)
    ]
    assert [0, 0, 1] == value(lambda a, b: lg.where(a < b, 0, 1), a, b).tolist()
    assert [False, False, False] == value(lg.isin, a, b).tolist()
    assert [True, True, True] == value(lambda a: a < 2**63, a).tolist()
    assert [False, False, True] == value(lambda b: b < 2**63 - 1, b).tolist()
    assert [True, True, True] == value(lambda b: b > -1, b).tolist()


@pytest.mark.parametrize("side", ["left", "right"])
def test_whole_numbers_are_searched_among_others_with_or_without_a_sign(side):
    """By Python's own: how many edges are less, or not more."""
    signed, unsigned = [-(2**63), -1, 0, 5, 2**63 - 1], [0, 5, 2**63 - 1, 2**63, 2**64 - 1]
    for edges, x in (
        (np.array(signed), np.array(unsigned, "uint64")),
        (np.array(unsigned, "uint64"), np.array(signed)),
    ):
        expected = [sum(e < k or (side == "right" and e == k) for e in edges.tolist()) for k in x.tolist()]
        assert expected == value(lambda edges, x: lg.searchsorted(edges, x, side=side), edges, x).tolist()


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_at_their_ends_are_numpys(dtype):
    """Division by zero, the least by −1, shifts beyond the width, the size of the least."""
    info = np.iinfo(dtype)
    x = np.array([info.min, info.max, 0, 1], dtype)
    y = np.array([-1 if info.min else 3, 0, 0, info.max], dtype)
    with np.errstate(all="ignore"):
        expected = [x // y, x % y, x << (y & 127), x >> (y & 127), np.abs(x), -x]
    for a, b in zip(
        value(lambda x, y: (x // y, x % y, x << (y & 127), x >> (y & 127), abs(x), -x), x, y), expected, strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_a_negative_power_of_whole_numbers_is_refused_in_both_ways():
    """NumPy's error, as there is no such whole number."""
    assert "negative integer powers" in raised(ValueError, lambda a, b: lg.power(a, b), np.array([2]), np.array([-1]))


# Halves.


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lg.mean, 40000),
        (lg.median, 40000),
        (lg.average, 40000),
        (lg.var, 0),
        (lg.std, 0),
        (lg.logsumexp, 40000),
        (lambda x: lg.nn.normalize(x), np.zeros(10)),
        (lambda x: lg.nn.rms_norm(x), np.ones(10)),
        (lambda x: lg.nn.softmax(x), np.full(10, 0.1)),
        (lambda x: lg.nn.avg_pool2d(x.reshape(2, 5), (2, 5)), [[40000]]),
        (lambda x: lg.isclose(x, -x, rtol=0, atol=79999.0), np.zeros(10, bool)),
        (lambda x: lg.add_n([x, x, -x]), np.full(10, 40000)),
        (lambda x: lg.linalg.vecdot(x[:2], lg.asarray(np.array([1, -1], HALF)) * x[:2]), 0),
    ],
    ids=[
        *("mean", "median", "average", "var", "std", "logsumexp", "normalize", "rms_norm", "softmax", "avg_pool2d"),
        *("isclose", "add_n", "vecdot"),
    ],
)
def test_what_is_added_up_on_the_way_may_be_beyond_a_half(f, expected):
    """Ten times 40000, and its square, are; the result is not."""
    found = value(f, np.full(10, 40000, HALF))
    assert found.dtype in (HALF, bool)
    np.testing.assert_array_equal(found, np.asarray(expected, found.dtype))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_sum_of_halves_does_not_stop_at_2048(axis, order):
    """Whatever the axis, and the order in memory: 2048 + 1 is no half."""
    x = np.ones((4096, 3), HALF, order=order)
    for f, reference in ((lg.sum, np.sum), (lg.mean, np.mean)):
        expected = reference(x.astype(float), axis=axis)
        found = value(lambda x, f=f: f(x, axis=axis), x)
        assert HALF == found.dtype
        np.testing.assert_array_equal(found, expected.astype(HALF))


def test_sums_of_halves_everywhere_are_taken_in_float32():
    """Running sums, sums by segment, by window, in products, by the gradient of what broadcasts, of ties."""
    x = np.ones(5000, HALF)
    assert 5000 == value(lambda x: lg.cumulative_sum(x)[-1], x)
    assert [5000] == value(lambda x: lg.segment_sum(x, np.zeros(5000, int), 1), x).tolist()
    assert [5000] == value(lambda x: lg.zeros(1, HALF).at[np.zeros(5000, int)].add(x), x).tolist()
    assert [[5000]] == value(lambda x: lg.nn.sum_pool2d(x.reshape(50, 100), (50, 100)), x).tolist()
    assert 5000 == value(lambda x: x @ x, x)
    assert 5000 == slope(lambda w, x: w * x, HALF(2), x)
    assert 1 == value(lambda x: lg.mean(x), np.ones(70000, HALF))
    np.testing.assert_allclose(slope(lg.max, np.ones(70000, HALF)), 1 / 70000, rtol=3e-3)  # a denormal half


# Casts of floats to whole numbers.

ODD = [NAN, INF, -INF, 0.0, -0.0, 0.9, -0.9, 1.5, -1.5, 127.5, 128.0, -128.5, -129.0, 255.5, 256.0, 300.0, -1.0]
ODD += [6e4, -6e4, 2.0**31, -(2.0**31), 2.0**32, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 1e300, -1e300]


def nearest(x: Any, dtype: str) -> Any:
    """The whole numbers of the dtype nearest to the floats cut off, by Python's own."""
    info = np.iinfo(dtype)

    def one(number: float) -> int:
        if np.isnan(number) or number == -INF:
            return int(info.min)
        return int(info.max) if number == INF else max(int(info.min), min(int(info.max), int(number)))

    return np.array([one(float(number)) for number in x], dtype)


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
def test_a_cast_to_whole_numbers_gives_the_nearest_in_every_way(source, dtype):
    """Run, written as a program, natively, and folded; beside numbers that are in range, and alone."""
    with np.errstate(over="ignore"):
        x = np.array(ODD).astype(source)
    np.testing.assert_array_equal(nearest(x, dtype), value(lambda x: x.astype(dtype), x))
    np.testing.assert_array_equal(nearest(x, dtype), value(lambda x: (x * 1).astype(dtype) + 0, x))
    np.testing.assert_array_equal(nearest(x, dtype), cast(x, dtype))
    np.testing.assert_array_equal(nearest(x, dtype), saturated(np, x, np.dtype(dtype)))
    np.testing.assert_array_equal(nearest(x[3:8], dtype), cast(x[3:8], dtype))


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("number", [NAN, INF, -INF, 300.7, -1.5, 1e30])
def test_numbers_and_constants_are_cast_as_tensors_are(number, dtype):
    """Literals, arrays of one number, arrays beside the graph, what is written into a tensor, and variables."""
    (expected,) = nearest([number], dtype)
    ways = [
        lambda: lg.asarray(number, dtype),
        lambda: lg.asarray([number], dtype)[0],
        lambda: lg.asarray(np.array([number, 1.0]), dtype)[0],
        lambda: lg.full((2,), number, dtype)[0],
        lambda: lg.full_like(np.zeros(2, dtype), number)[0],
        lambda: lg.asarray(number).astype(dtype),
        lambda: lg.zeros(2, dtype).at[0].set(number)[0],
        lambda: lg.pad(lg.zeros(1, dtype), 1, number)[0],
    ]
    for way in ways:
        assert expected == value(way)
    env = lg.VariableEnvironment()
    env.name("n").set(np.zeros(2, dtype))
    env["n"] = np.array([number, 1.0])
    np.testing.assert_array_equal([expected, 1], env["n"])
    for run in (env.run, lambda step, x: env.compile(step, wait=True)(x)):
        env["n"] = np.zeros(2, dtype)
        run(lambda ctx, x: ctx.assign("n", x), np.array([number, 1.0]))
        np.testing.assert_array_equal([expected, 1], env["n"])


def test_nan_is_true():
    """As in NumPy: it is not zero."""
    assert [True, True, False] == value(lambda x: x.astype(bool), np.array([NAN, INF, -0.0])).tolist()


@pytest.mark.thinned(3)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: x[i],
        lambda x, i: lg.take(x, i),
        lambda x, i: lg.take_along_axis(x, i),
        lambda x, i: x.at[i].set(0.0),
        lambda x, i: x.at[i].add(1.0),
        lambda x, i: lg.segment_sum(x[:2], i, 300),
        lambda x, i: lg.nn.one_hot(i, 300),
        lambda x, i: lg.nn.embedding(x, i),
        lambda x, i: lg.nn.cross_entropy(lg.stack([x, x]), i),
        lambda x, i: lg.nn.negative_log_likelihood(lg.stack([x, x]), i),
        lambda x, i: x[i.reshape(1, 2).astype("int64")],
    ],
    ids=["getitem", "take", "along", "set", "add", "segment", "one_hot", "embedding", "entropy", "likelihood", "moved"],
)
def test_an_index_that_is_cast_from_nan_or_an_infinity_is_an_error(f, bad, dtype):
    """As a whole number it would name what exists."""
    text = raised(IndexError, lambda x, i: f(x, i.astype(dtype)), np.zeros(300), np.array([1.0, bad]))
    assert text.startswith(f"index {bad} names nothing")


# Python's floats.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_python_floats_alone_have_the_environments_dtype(dtype):
    """In every op, also where a bool chooses between them, and as the quotient of ints."""
    found = computed(
        lambda c: [
            *(lg.asarray(1.5), lg.exp(1.0), lg.stack([1.0, 2.0]), lg.asarray([1.5, 2]), lg.maximum(1.0, 2.0)),
            *(lg.where(c, 1.0, 2.0), lg.where(c, 1, 2.0), lg.power(2.0, 3.0), lg.divide(1, 2), lg.exp(1)),
            *(lg.linspace(0.0, 1.0, 3), lg.full((), 1.5), lg.full((2,), [1.5, 2.5][0]), lg.mean([1.0, 2.0])),
            *(lg.nn.mean_squared_error([1.0], [2.0]), lg.nn.softsign(1), lg.concat([[1.0], [2.0]])),
        ],
        [np.array([True])],
        dtype,
    )
    assert [dtype] * len(found) == [y.dtype.name for y in found]
    assert ["int64"] * 2 == [y.dtype.name for y in computed(lambda: [lg.asarray(1), lg.add(1, 2)], [], dtype)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_numbers_and_arrays_keep_their_dtype(dtype):
    """In lists too."""
    found = computed(
        lambda: [lg.asarray(np.float64(1)), lg.exp(np.float32(1)), lg.asarray([np.float64(1)]), lg.exp(np.ones(2))],
        [],
        dtype,
    )
    assert ["float64", "float32", "float64", "float64"] == [y.dtype.name for y in found]


@pytest.mark.parametrize("other", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_beside_an_array_a_python_float_is_weak_and_exact(dtype, other):
    """It takes the array's dtype, not rounded to the environment's before; a list has the environment's, or a wider."""
    x = np.array([1.0], other)
    wide = np.result_type(dtype, other)
    single = [lambda x: x * 0.1, lambda x: lg.maximum(0.1, 0 * x), lambda x: lg.stack([x[0], 0.1])[1:]]
    for f in [*single, lambda x: 1 + lg.nn.mean_absolute_error(x, 0.9) - 1]:
        assert other == computed(f, [x], dtype)[0].dtype
    for f in single:
        assert np.array([0.1], other) == computed(f, [x], dtype)[0]
    for f in (lambda x: x * [0.1], lambda x: lg.concat([x, [0.1]])[1:], lambda x: lg.add_n([0 * x, [0.1]])):
        (found,) = computed(f, [x], dtype)
        assert wide == found.dtype
        assert np.array([0.1], wide) == found


def test_beside_whole_numbers_a_python_float_is_float64():
    """NEP 50: there it has the dtype that whole numbers become."""
    x = np.array([1], "int8")
    assert ["float64"] * 3 == [
        y.dtype for y in computed(lambda x: [x * 0.5, lg.stack([x[0], 0.5]), x / 2], [x], "float32")
    ]


# Mistakes.


def test_a_mistake_is_told_of_what_was_given():
    """The dtype that the function would have computed in is not the user's."""
    text = raised(lg.SpecError, lambda x: lg.mean(x, axis=3), np.zeros(2, "uint8"))
    assert "cannot sum uint8[2]" in text
    assert "cannot sum float16[2]" in raised(lg.SpecError, lambda x: lg.sum(x, axis=3), np.zeros(2, HALF))
