"""NumPy's functions of arrays beyond what the table of ops checks: NaN passed over, sizes, errors, and the way back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.testing import check_gradient, check_value


def run(call: Any, *arrays: Any, dtype: str = "float64") -> Any:
    """What ``call`` computes of arrays, in a step."""
    return lg.VariableEnvironment(dtype=dtype).run(lambda ctx, *xs: call(*xs), *arrays)


def said(call: Any, *arrays: Any) -> str:
    """The message of the SpecError that ``call`` raises."""
    with pytest.raises(lg.SpecError) as caught:
        run(call, *arrays)
    return str(caught.value)


# What is missing.

HOLED = np.array([[3.0, np.nan, 1.0, -2.0], [np.nan, np.nan, np.nan, np.nan], [0.5, 4.0, np.nan, 2.5]])
PASSING = [
    ("nansum", {}),
    ("nanprod", {}),
    ("nanmean", {}),
    ("nanvar", {"correction": 1}),
    ("nanstd", {}),
    ("nanmax", {}),
    ("nanmin", {}),
    ("nanmedian", {}),
    ("nanquantile", {"q": [0.1, 0.6]}),
    ("nanpercentile", {"q": 30}),
]


@pytest.mark.parametrize(("name", "settings"), PASSING, ids=[name for name, _ in PASSING])
@pytest.mark.parametrize("axis", [None, 1])
def test_what_is_missing_takes_no_part(name: str, settings: Any, axis: Any) -> None:
    """The values are NumPy's, NaN of NaN alone; run and compiled, in float64 and float32."""

    def reference(x: Any) -> Any:
        given = {"ddof" if k == "correction" else k: v for k, v in settings.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return np.asarray(getattr(np, name)(x, axis=axis, **given)).astype(x.dtype)

    for dtype in ("float64", "float32"):
        check_value(lambda x: getattr(lg, name)(x, axis=axis, **settings), reference, HOLED.astype(dtype), ulps=16)


@pytest.mark.parametrize(("name", "settings"), PASSING, ids=[name for name, _ in PASSING])
def test_what_is_missing_has_no_slope(name: str, settings: Any) -> None:
    """The gradient of the others is right, that of NaN is 0, and so are second derivatives."""
    gone = np.eye(3, 4, dtype=bool)
    x = np.random.default_rng(0).permutation(12).reshape(3, 4) / 4 + 0.1

    def of_others(x: Any) -> Any:
        return getattr(lg, name)(lg.where(gone, np.nan, x), axis=1, **settings)

    check_gradient(of_others, x)
    found = run(lambda x: lg.grad(lg.sum(of_others(x)), x), x)
    assert np.all(found[gone] == 0)
    direct = np.where(gone, np.nan, x)
    found = run(lambda x: lg.grad(lg.sum(getattr(lg, name)(x, axis=1, **settings)), x), direct)
    assert np.all(np.isfinite(found))


def test_places_of_extremes_pass_over_what_is_missing() -> None:
    """NumPy refuses rows of NaN alone; here their place is 0."""
    assert [0, 0, 1] == run(lambda x: lg.nanargmax(x, axis=1), HOLED).tolist()
    assert [3, 0, 0] == run(lambda x: lg.nanargmin(x, axis=1), HOLED).tolist()


def test_running_sums_pass_over_what_is_missing() -> None:
    """Each keeps its value beside NaN."""
    assert np.array_equal(np.nancumsum(HOLED, 1), run(lg.nancumsum, HOLED))
    assert np.array_equal(np.nancumprod(HOLED, 1), run(lg.nancumprod, HOLED))


@pytest.mark.parametrize("f", [lg.fmax, lg.fmin], ids=["fmax", "fmin"])
def test_extremes_of_two_pass_over_what_is_missing(f: Any) -> None:
    """The cotangent goes to the one that is there."""
    a, b = np.array([np.nan, 1.0, 5.0]), np.array([3.0, np.nan, 5.0])
    reference = getattr(np, f.__name__)
    check_value(f, reference, a, b)
    da, db = run(lambda a, b: lg.grad(lg.sum(f(a, b)), [a, b]), a, b)
    assert ([0, 1, 0.5], [1, 0, 0.5]) == (da.tolist(), db.tolist())
    assert np.isnan(run(f, np.array(np.nan), np.array(np.nan)))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: lg.linalg.lstsq(x, np.ones(3)).x,
        lambda x: lg.polyfit(x[:, 0], np.ones(3), 1),
        lambda x: lg.linalg.pinv(x[:, :3], hermitian=True),
        lambda x: lg.linalg.matrix_rank(x[:, :3], hermitian=True),
        lambda x: lg.linalg.svd(x[:, :3], hermitian=True)[1],
    ],
)
def test_singular_values_of_what_is_missing_are_an_error(call: Any) -> None:
    """As those of NumPy, when it is evaluated."""
    with pytest.raises(np.linalg.LinAlgError):
        run(call, HOLED)


# Sizes that are known only when the graph is run.


def test_distinct_elements_have_the_size_that_is_given() -> None:
    """Run and compiled once, for other numbers too; NaN stands last, as one or each by itself."""
    env = lg.VariableEnvironment(dtype="float64")
    step = env.compile(lambda ctx, x: lg.unique(x, return_counts=True, size=4, fill_value=-1), wait=True)
    for x, values, counts in [
        ([3.0, 1.0, 3.0, 2.0, 1.0], [1, 2, 3, -1], [2, 1, 2, 0]),
        ([5.0, 4.0, 3.0, 2.0, 1.0], [1, 2, 3, 4], [1, 1, 1, 1]),
        ([0.0, 0.0, 0.0, 0.0, 0.0], [0, -1, -1, -1], [5, 0, 0, 0]),
    ]:
        found = step(np.array(x))
        assert (values, counts) == (found[0].tolist(), found[1].tolist())
    missing = np.array([np.nan, 1.0, np.nan])
    assert np.array_equal([1, np.nan], run(lambda x: lg.unique(x, size=2), missing), equal_nan=True)
    assert [1, 1, 1] == run(lambda x: lg.unique_counts(x, size=3), missing)[1].tolist()


def test_distinct_elements_of_an_array_need_no_size() -> None:
    """It is counted when the step is written."""
    assert [1, 2, 7] == run(lambda: lg.unique(np.array([7, 1, 2, 1]))).tolist()
    assert (0,) == run(lambda x: lg.unique(x, size=0), np.zeros(0)).shape
    assert [9, 9] == run(lambda x: lg.unique(x, size=2, fill_value=9), np.zeros(0)).tolist()
    assert "give size=" in said(lg.unique, np.ones(3))


def test_counts_of_whole_numbers_have_the_length_that_is_given() -> None:
    """A number beyond it is an error when it is evaluated; an array says its length itself."""
    assert [0, 2, 0, 1] == run(lambda: lg.bincount(np.array([1, 3, 1]))).tolist()
    assert [0, 2, 0, 1, 0] == run(lambda: lg.bincount(np.array([1, 3, 1]), minlength=5)).tolist()
    assert "give length=" in said(lg.bincount, np.array([1]))
    for wrong in ([4], [-1]):
        with pytest.raises(IndexError, match="out of range"):
            run(lambda x: lg.bincount(x, length=4), np.array(wrong))


def test_elements_are_repeated_as_a_tensor_says() -> None:
    """In a result of the size that is given; the gradient of an element is how often it stands there."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: Any, x: Any, counts: Any) -> Any:
        y = lg.repeat(x, counts, size=5)
        return y, lg.grad(lg.sum(y), x)

    compiled = env.compile(step, wait=True)
    for counts, values, slopes in [
        ([2, 0, 3], [1, 1, 3, 3, 3], [2, 0, 3]),
        ([1, 1, 1], [1, 2, 3, 3, 3], [1, 1, 3]),
        ([4, 4, 4], [1, 1, 1, 1, 2], [4, 1, 0]),
    ]:
        for run_it in (compiled, lambda *args: env.run(step, *args)):
            y, g = run_it(np.array([1.0, 2.0, 3.0]), np.array(counts))
            assert (values, slopes) == (y.tolist(), g.tolist())


def test_distinct_rows_are_found_along_an_axis() -> None:
    """In the order of their first elements, then their second ones, as NumPy's."""
    x = np.array([[2, 1, 0], [1, 5, 0], [2, 1, 0], [1, 4, 9]])
    for axis, size in ((0, 4), (1, 3), (-1, 3)):
        wanted = np.unique(x, True, True, True, axis=axis)
        found = run(lambda x, a=axis, n=size: lg.unique(x, True, True, True, size=n, axis=a), x)
        n = wanted[0].shape[axis]
        assert np.array_equal(wanted[0], np.take(found[0], range(n), axis))
        assert np.array_equal(wanted[1], found[1][:n])
        assert np.array_equal(wanted[2].ravel(), found[2])
        assert np.array_equal(wanted[3], found[3][:n])
    check_gradient(lambda x: lg.unique(x, size=2, axis=0), np.array([[2.0, 1.0], [0.5, 3.0]]))


def test_the_median_is_taken_over_several_axes() -> None:
    """As NumPy's."""
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in ((0, 2), (1,), None):
        for keepdims in (True, False):
            assert np.array_equal(
                np.median(x, axis=axis, keepdims=keepdims),
                run(lambda x, a=axis, k=keepdims: lg.median(x, axis=a, keepdims=k), x),
            )


def test_a_histogram_counts_what_lies_in_its_bins() -> None:
    """The last edge counts; what is outside, and NaN, does not; numbers all alike have bins around them."""
    x = np.array([0.0, 1.0, 2.0, 3.0, np.nan, 2.0])
    assert [1, 3] == run(lambda x: lg.histogram(x, [0.0, 1.0, 2.0])[0], x).tolist()
    counts, edges = run(lambda x: lg.histogram(x, 2), np.full(3, 7.0))
    assert ([0, 3], [6.5, 7, 7.5]) == (counts.tolist(), edges.tolist())
    assert [0, 0] == run(lambda x: lg.histogram(x, 2)[0], np.zeros(0)).tolist()


# Interpolation, distances, padding.


def test_interpolation_keeps_float32_and_hits_the_points() -> None:
    """Every point itself, to the bit, the last one too."""
    xp = np.array([0.0, 0.1, 0.30000001, 1.7], "float32")
    fp = np.array([1.0, -2.5, 0.3, 9.1], "float32")
    found = run(lg.interp, xp, xp, fp, dtype="float32")
    assert np.float32 == found.dtype
    assert np.array_equal(fp, found)
    assert [2.5, 2.5] == run(lambda x: lg.interp(x, [1.0], [2.5]), np.array([0.0, 4.0])).tolist()


def test_distances_have_slopes_at_equal_points() -> None:
    """0 of the distance, and the second derivative 2 of its square."""
    a = np.array([[1.0, 2.0], [1.0, 2.0]])
    assert np.array_equal(np.zeros((2, 2)), run(lambda a: lg.grad(lg.sum(lg.cdist(a, a)), a), a))
    hessian = run(lambda a: lg.hessian(lg.sum(lg.square(lg.cdist(a, np.zeros((1, 2))))), a), np.zeros((1, 2)))
    assert np.array_equal(2 * np.eye(2), hessian.reshape(2, 2))


def test_a_number_in_place_of_the_mode_is_what_stands_around() -> None:
    """And a tensor may stand around too, with a gradient."""
    assert [7, 1, 7] == run(lambda x: lg.pad(x, 1, 7), np.ones(1)).tolist()
    assert 2 == run(lambda v: lg.grad(lg.sum(lg.pad(np.ones(1), 1, constant_values=v)), v), np.array(3.0))


def test_a_ramp_of_whole_numbers_is_rounded_down() -> None:
    """As NumPy's, below zero too."""
    x = np.array([[-3, 7], [5, -8]])
    check_value(lambda x: lg.pad(x, 3, "linear_ramp"), lambda x: np.pad(x, 3, "linear_ramp"), x)


def test_x_log_y_is_zero_where_x_is() -> None:
    """Whatever y is, and so is its slope in y; the slope in x is log y."""
    x, y = np.zeros(4), np.array([0.0, -1.0, np.inf, 2.0])
    for f in (lg.xlogy, lg.xlog1py):
        value, dx, dy = run(lambda x, y, f=f: (f(x, y), *lg.grad(lg.sum(f(x, y)), [x, y])), x, y - (f is lg.xlog1py))
        assert [0, 0, 0, 0] == value.tolist() == dy.tolist()
        assert [0, 0, np.inf, np.log(2.0)] == dx.tolist()
    assert np.isnan(run(lg.xlogy, np.zeros(1), np.array([np.nan]))).all()


def test_a_weighted_sum_of_exponentials_passes_over_weights_of_zero() -> None:
    """Be the exponent infinite; the slope in the weight is that of the others, and a negative sum has no logarithm."""
    x, b = np.array([1.0, np.inf, 800.0]), np.array([2.0, 0.0, 3.0])
    assert run(lambda x, b: lg.logsumexp(x, b=b), x, b) == pytest.approx(800 + np.log(3))
    x, b = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    assert run(lambda x, b: lg.grad(lg.logsumexp(x, b=b), b), x, b) == pytest.approx([1, np.e])
    assert np.isnan(run(lambda x: lg.logsumexp(x, b=[-1.0, 0.5]), np.zeros(2)))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 3, 0), (0, 3, 2)])
def test_factors_of_nothing_have_their_shapes(shape: tuple[int, ...]) -> None:
    """The permutation of rows of no elements changes none."""
    *batch, m, n = shape
    p, lower, upper = run(lg.linalg.lu, np.zeros(shape))
    assert ((*batch, m, m), (*batch, m, min(m, n)), (*batch, min(m, n), n)) == (p.shape, lower.shape, upper.shape)
    assert np.array_equal(np.broadcast_to(np.eye(m), p.shape), p)


def test_einsum_finds_the_cheaper_order_if_it_is_asked_to() -> None:
    """A chain of matrices that ends in a vector is taken from the vector on."""
    matrices = [np.ones((40, 40))] * 3

    def largest(optimize: Any) -> int:
        step = lg.VariableEnvironment().trace(
            lambda ctx, *xs: lg.einsum("ij,jk,kl,l->i", *xs, np.ones(40), optimize=optimize), *matrices
        )
        return max(node.spec.size for node in step.nodes if "matmul" in node.op.name)

    assert (1600, 40) == (largest(False), largest(True))


# One vector of many arrays.


def test_a_tree_becomes_a_vector_and_comes_back() -> None:
    """Nesting, shapes and dtypes; in a step, with tensors, and outside, with arrays."""
    tree = {"w": np.arange(6.0).reshape(2, 3), "rest": [np.array(7, "int32"), (np.ones(2, "float32"),)]}
    vector, back = lg.ravel(tree)
    assert [0, 1, 2, 3, 4, 5, 7, 1, 1] == vector.tolist()

    def inside(w: Any, n: Any, v: Any) -> Any:
        vector, back = lg.ravel({"w": w, "rest": [n, (v,)]})
        return vector, back(vector)

    again, there = run(inside, tree["w"], tree["rest"][0], tree["rest"][1][0])
    assert np.array_equal(vector, again)
    for found in (back(vector), there):
        assert isinstance(found["rest"][1], tuple)
        parts = [found["w"], found["rest"][0], found["rest"][1][0]]
        assert [("float64", (2, 3)), ("int32", ()), ("float32", (2,))] == [(p.dtype.name, p.shape) for p in parts]
        assert np.array_equal(tree["w"], found["w"])
    assert (0,) == lg.ravel([])[0].shape


def test_a_tree_is_differentiated_through_its_vector() -> None:
    """Both ways."""

    def loss(a: Any, b: Any) -> Any:
        vector, back = lg.ravel([a, b])
        first, second = back(lg.square(vector))
        return lg.sum(first) * lg.sum(second)

    check_gradient(loss, np.array([1.0, 2.0]), np.array([[0.5], [3.0]]))


def test_variables_become_a_vector_of_their_values() -> None:
    """For solvers outside a step; and a vector of another size is refused."""
    env = lg.VariableEnvironment()
    layer = lg.nn.Linear(env, 2, 3)
    vector, back = lg.ravel(layer.variables)
    assert (9,) == vector.shape
    assert [v.shape for v in layer.variables] == [part.shape for part in back(vector)]
    with pytest.raises(lg.SpecError, match="The structure has 9 elements"):
        back(np.ones(8))


# Mistakes.

REFUSED = [
    (lambda x: lg.quantile(x, 1.5), "from 0 to 1"),
    (lambda x: lg.percentile(x, [50, 101]), "at [50, 101]"),
    (lambda x: lg.nanpercentile(x, -1), "A percentage is from 0 to 100."),
    (lambda x: lg.quantile(x, 0.5, method="middle"), "method is one of 'linear', 'lower'"),
    (lambda x: lg.quantile(x, 0.5, axis=2), "Axis 2 does not exist"),
    (lambda x: lg.repeat(x, lg.astype(x, int)), "give size=, or repeats that are no tensor"),
    (lambda x: lg.repeat(x, [1, 2], axis=0), "3 of these, one an element"),
    (lambda x: lg.repeat(x, -1), "not negative"),
    (lambda x: lg.pad(x, 1, "around"), "mode is one of 'constant', 'empty', 'edge'"),
    (lambda x: lg.pad(x[:0], 1, "edge"), "has no elements to take values from"),
    (lambda x: lg.pad(x, 3, "reflect", reflect_type="odd"), "at most 2 elements on a side"),
    (lambda x: lg.diag(lg.stack([x, x])[None]), "lg.diagonal takes diagonals of batches"),
    (lambda x: lg.interp(x, [1.0, 2.0], [1.0]), "the same size"),
    (lambda x: lg.interp(x, [], []), "not 0"),
    (lambda x: lg.trapezoid(x, [1.0]), "there are 3"),
    (lambda x: lg.central_difference(x[:1]), "more than 1 points"),
    (lambda x: lg.central_difference(x, 1.0, 2.0), "one for each of 1 axes"),
    (lambda x: lg.cov(x[None, None]), "one axis or two"),
    (lambda x: lg.cov(x, aweights=[1.0]), "3 observations"),
    (lambda x: lg.cdist(x[:, None], lg.ones((2, 2))), "must be equal"),
    (lambda x: lg.histogram(x, 0), "one or more"),
    (lambda x: lg.histogram(x, "auto"), "give their number"),
    (lambda x: lg.histogram(x, 3, (2, 1)), "two finite numbers"),
    (lambda x: lg.histogram(x, 3, weights=[1.0]), "has the shape [3]"),
    (lambda x: lg.select([x > 0], []), "give as many"),
    (lambda x: lg.piecewise(x, [x > 0], []), "or one more"),
    (lambda x: lg.vsplit(x, 3), "It needs 2 axes"),
    (lambda x: lg.dsplit(x, 3), "It needs 3 axes"),
    (lambda x: lg.hstack([]), "at least one tensor"),
    (lambda x: lg.einsum(x, [0.5]), "whole numbers from 0 to 51"),
    (lambda x: lg.geomspace(-1, 1), "both have one sign"),
    (lambda x: lg.put_along_axis(x, [[0]], 1.0), "as many axes as x"),
    (lambda x: lg.linalg.lstsq(lg.ones((2, 2)), x), "as many rows"),
    (lambda x: lg.polyfit(x, x[:2], 1), "as many points"),
    (lambda x: lg.diff(x, n=-1), "n is not negative"),
    (lambda x: lg.asarray(np.ones(2), copy=False), "leave copy out"),
    (lambda x: lg.zeros(2, device="cuda:0"), "VariableEnvironment(backend='numpy') or 'cupy'"),
    (lambda x: lg.meshgrid(x, indexing="yx"), "'xy' or 'ij'"),
    (lambda x: lg.roll(x, 1.5), "shift is a whole number"),
    (lambda x: lg.roll(x[None], (1, 2), (0, 1, 0)), "one for each axis"),
    (lambda x: lg.unique(x, size=-1), "that is not negative"),
    (lambda x: lg.bincount(x, length=3), "cast them with"),
    (lambda x: lg.bincount(x.astype(int), weights=[1.0], length=3), "each of the 3 numbers"),
    (lambda x: lg.round(x, 1.5), "decimals is a whole number"),
    (lambda x: lg.quantile(x, "half"), "cannot take quantiles of float64[3] at 'half'"),
    (lambda x: lg.diff(x, axis=1), "cannot take differences of float64[3]"),
    (lambda x: lg.einsum(x, x), "cannot einsum with axes"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_mistake_is_told_with_what_would_do(call: Any, words: str) -> None:
    """Where it is written, before anything is computed."""
    message = said(call, np.array([1.0, 2.0, 3.0]))
    assert words in message
    assert "test_array_functions.py" in message
