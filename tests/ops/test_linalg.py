"""Linear algebra: values beside NumPy's, empty arrays, dtypes, refusals, failures while running."""

from __future__ import annotations

import decimal
import traceback

import numpy as np
import pytest
from rows_linalg import directed, paired
from snapshots import at

import lazygrad as lg
from lazygrad.testing import check_value

la = lg.linalg
SHAPES = [(1, 1), (2, 2), (5, 5), (3, 4, 4), (2, 1, 3, 3)]
RECTANGLES = [*SHAPES, (4, 2), (2, 4), (3, 5, 2), (3, 2, 5), (1, 3), (3, 1)]
EMPTY_SQUARES = [(0, 0), (0, 3, 3), (2, 0, 0)]
EMPTY = [*EMPTY_SQUARES, (0, 3), (3, 0), (2, 0, 3), (2, 3, 0), (0, 2, 3)]
INF = float("inf")


def sample(shape, dtype="float64", seed=0):
    """Numbers without structure."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def positive(shape, dtype="float64"):
    """Symmetric, positive definite matrices."""
    a = sample(shape)
    return (a @ np.swapaxes(a, -1, -2) + shape[-1] * np.eye(shape[-1])).astype(dtype)


def exponential(a):
    """The sum of the series in 250 digits; SciPy's own errs by hundreds of roundings."""
    with decimal.localcontext(prec=250):
        x = np.array([decimal.Decimal(float(n)) for n in a.flat] + [None])[:-1].reshape(a.shape)
        term = total = np.broadcast_to(np.eye(a.shape[-1], dtype=int).astype(object), a.shape)
        for k in range(1, 1000):
            term = np.matmul(term, x) / k
            total = total + term
            if not a.size or max(abs(n) for n in term.flat) < decimal.Decimal("1e-60"):
                break
    return total.astype("float64").astype(a.dtype)


def value(f, *arrays, dtype="float64"):
    """What ``f`` computes of the arrays."""
    return lg.VariableEnvironment(dtype=dtype).run(lambda ctx, *xs: f(*xs), *arrays)


MAXIMA = ("matrix_norm 1", "matrix_norm 2", "matrix_norm inf", "vector_norm inf")  # of nothing NumPy has changed
SQUARE = {
    "inv": (la.inv, np.linalg.inv),
    "det": (la.det, np.linalg.det),
    "slogdet": (la.slogdet, np.linalg.slogdet),
    "trace": (la.trace, np.linalg.trace),
    "matrix_power 0": (lambda a: la.matrix_power(a, 0), lambda a: np.linalg.matrix_power(a, 0)),
    "matrix_power 1": (lambda a: la.matrix_power(a, 1), lambda a: np.linalg.matrix_power(a, 1)),
    "matrix_power 7": (lambda a: la.matrix_power(a, 7), lambda a: np.linalg.matrix_power(a, 7)),
    "matrix_power -3": (lambda a: la.matrix_power(a, -3), lambda a: np.linalg.matrix_power(a, -3)),
    "cond 1": (lambda a: la.cond(a, 1), lambda a: np.linalg.cond(a, 1)),
    "cond fro": (lambda a: la.cond(a, "fro"), lambda a: np.linalg.cond(a, "fro")),
    "expm": (la.expm, exponential),
}
SYMMETRIC = {
    "cholesky": (la.cholesky, np.linalg.cholesky),
    "cholesky upper": (lambda a: la.cholesky(a, upper=True), lambda a: np.linalg.cholesky(a, upper=True)),
    "eigh": (la.eigh, lambda a: directed(*np.linalg.eigh(a))),
    "eigvalsh": (la.eigvalsh, np.linalg.eigvalsh),
}
ANY = {
    "qr": (la.qr, np.linalg.qr),
    "qr complete": (lambda a: la.qr(a, mode="complete"), lambda a: np.linalg.qr(a, mode="complete")),
    "svd": (lambda a: la.svd(a, full_matrices=False), lambda a: paired(*np.linalg.svd(a, full_matrices=False))),
    "svd full": (la.svd, lambda a: paired(*np.linalg.svd(a))),
    "svdvals": (la.svdvals, np.linalg.svdvals),
    "pinv": (la.pinv, lambda a: np.linalg.pinv(a, rtol=None)),
    "matrix_rank": (la.matrix_rank, np.linalg.matrix_rank),
    "trace above": (lambda a: la.trace(a, offset=1), lambda a: np.linalg.trace(a, offset=1)),
    "diagonal below": (lambda a: la.diagonal(a, offset=-1), lambda a: np.linalg.diagonal(a, offset=-1)),
    "matrix_transpose": (la.matrix_transpose, np.linalg.matrix_transpose),
    "norm": (la.norm, np.linalg.norm),
    "norm kept": (lambda a: la.norm(a, keepdims=True), lambda a: np.linalg.norm(a, keepdims=True)),
}
for order in ("fro", "nuc", 1, -1, 2, -2, INF, -INF):
    ANY[f"matrix_norm {order}"] = (
        lambda a, order=order: la.matrix_norm(a, ord=order),
        lambda a, order=order: np.linalg.matrix_norm(a, ord=order),
    )
    ANY[f"matrix_norm {order} kept"] = (
        lambda a, order=order: la.matrix_norm(a, ord=order, keepdims=True),
        lambda a, order=order: np.linalg.matrix_norm(a, ord=order, keepdims=True),
    )
for order in (0, 0.5, 1, 2, 3, 4, -1, -2.5, INF, -INF):
    for axis in (None, -1, (-2, -1)):
        ANY[f"vector_norm {order} over {axis}"] = (
            lambda a, order=order, axis=axis: la.vector_norm(a, ord=order, axis=axis),
            lambda a, order=order, axis=axis: np.linalg.vector_norm(a, ord=order, axis=axis),
        )
WITH_EMPTY = {name: row for name, row in ANY.items() if not name.startswith(MAXIMA)}


def cases(table, shapes):
    """Every function of the table with every shape."""
    return [pytest.param(*row, shape, id=f"{name} {list(shape)}") for name, row in table.items() for shape in shapes]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("f", "reference", "shape"), cases(SQUARE, SHAPES))
def test_a_function_of_square_matrices_is_numpys(f, reference, shape, dtype):
    """Of each matrix of the batch, in the dtype given, run and compiled."""
    check_value(f, reference, positive(shape, dtype) / 4 + 0.1 * sample(shape, dtype), ulps=200)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("f", "reference", "shape"), cases(SYMMETRIC, SHAPES))
def test_a_function_of_symmetric_matrices_is_numpys(f, reference, shape, dtype):
    """Of each matrix of the batch, in the dtype given, run and compiled."""
    # NumPy has LAPACK factor the upper triangle, which rounds otherwise than the lower one of the transpose.
    check_value(f, reference, positive(shape, dtype), ulps=10 if f is SYMMETRIC["cholesky upper"][0] else 0)


@pytest.mark.thinned(5)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("f", "reference", "shape"), cases(ANY, RECTANGLES))
def test_a_function_of_any_matrices_is_numpys(f, reference, shape, dtype):
    """Tall, wide and square; of each matrix of the batch, in the dtype given, run and compiled."""
    check_value(f, reference, sample(shape, dtype), ulps=50)


@pytest.mark.thinned(4)
@pytest.mark.parametrize(
    ("f", "reference", "shape"), cases({**SQUARE, **SYMMETRIC}, EMPTY_SQUARES) + cases(WITH_EMPTY, EMPTY)
)
def test_an_empty_array_has_numpys_value_or_is_refused_with_numpy(f, reference, shape):
    """Batches of none, and matrices without rows or columns."""
    x = np.zeros(shape)
    try:
        with np.errstate(all="ignore"):
            reference(x)
    except ValueError:
        with pytest.raises(lg.SpecError):
            value(f, x)
        return
    check_value(f, reference, x)


@pytest.mark.parametrize("order", [1, 2, INF])
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)], ids=str)
def test_the_largest_of_nothing_is_a_norm_of_zero(shape, order):
    """As the standard has it; NumPy has come round to that in 2.3."""
    zero = np.float64(0)
    check_value(lambda x: la.matrix_norm(x, ord=order), lambda x: zero, np.zeros(shape))
    check_value(lambda x: la.vector_norm(x, ord=order), lambda x: zero, np.zeros(shape))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((4, 3, 3), (3,)),
        ((4, 3, 3), (4, 3, 2)),
        ((3, 3, 3), (3, 3)),
        ((3, 3), (5, 4, 3, 2)),
        ((4, 3, 3), (5, 1, 3, 2)),
        ((5, 1, 3, 3), (4, 3, 1)),
        ((3, 3), (3, 0)),
        ((0, 0), (0, 2)),
        ((0, 0), (0,)),
        ((0, 3, 3), (3, 2)),
        ((2, 3, 3), (0, 1, 3, 2)),
        ((0, 0), (2, 0, 3)),
        ((3, 3), (0, 3, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_solve_is_numpys_for_vectors_matrices_and_batches(a, b, dtype):
    """``b`` is a vector only if it has one axis, as in NumPy 2."""
    matrix = (sample(a) + 3 * np.eye(a[-1])).astype(dtype)
    check_value(la.solve, np.linalg.solve, matrix, sample(b, dtype, 1), ulps=50)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((2, 3, 3), (3,)),
        ((2, 3, 3), (2, 3, 4)),
        ((3, 3), (4, 3, 2)),
        ((2, 3, 3), (5, 1, 3, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_solve_triangular_solves_with_the_triangle_it_reads(a, b, lower, transposed, dtype):
    """The other triangle may hold anything."""
    matrix = (sample(a) + 3 * np.eye(3)).astype(dtype)

    def reference(a, b):
        triangle = np.tril(a) if lower else np.triu(a)
        return np.linalg.solve(np.swapaxes(triangle, -1, -2) if transposed else triangle, b)

    check_value(
        lambda a, b: la.solve_triangular(a, b, lower, transposed), reference, matrix, sample(b, dtype, 1), ulps=50
    )


@pytest.mark.parametrize(("a", "b"), [((0, 0), (0,)), ((0, 0), (0, 2)), ((3, 3), (3, 0)), ((0, 3, 3), (3, 2))], ids=str)
def test_solve_triangular_of_nothing_is_empty(a, b):
    """As solve's."""
    check_value(la.solve_triangular, np.linalg.solve, np.ones(a) + 2 * np.eye(a[-1]), np.ones(b))


@pytest.mark.parametrize(
    "shapes",
    [
        [(3, 4), (4, 2)],
        [(3, 4), (4, 2), (2, 5)],
        [(10, 2), (2, 30), (30, 3), (3, 1)],
        [(4,), (4, 2), (2, 3), (3,)],
        [(4,), (4,)],
        [(4,), (4, 3)],
        [(3, 4), (4,)],
        [(2, 0), (0, 3), (3, 2)],
    ],
    ids=str,
)
def test_multi_dot_is_numpys(shapes):
    """Matrices, with a vector at either end or not."""
    arrays = [sample(shape, seed=i) for i, shape in enumerate(shapes)]
    check_value(lambda *xs: la.multi_dot(xs), lambda *xs: np.linalg.multi_dot(xs), *arrays, ulps=20)


def test_multi_dot_takes_the_cheapest_order():
    """Of (1000×2)(2×1000)(1000×1), the last two first: 4,000 multiplications and not 3 million."""
    graph = lg.VariableEnvironment(dtype="float64").trace(
        lambda ctx, *xs: la.multi_dot(xs), np.zeros((1000, 2)), np.zeros((2, 1000)), np.zeros((1000, 1))
    )
    assert [(2, 1), (1000, 1)] == [node.spec.shape for node in graph.nodes if node.op.name == "matmul"]


@pytest.mark.parametrize("axis", [None, 0, -1, (1,), (0, 1), (2, 0), (-1, -2)], ids=str)
@pytest.mark.parametrize("order", [None, 0, 1, -1, 2, -2, 3, INF, -INF, "fro", "nuc"], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)], ids=str)
def test_norm_is_numpys_for_any_axes_and_order(shape, axis, order, keepdims):
    """And is refused where NumPy refuses it."""
    x = sample(shape)
    try:
        np.linalg.norm(x, order, axis, keepdims)
    except (ValueError, TypeError):
        with pytest.raises(lg.SpecError):
            value(lambda x: la.norm(x, order, axis, keepdims), x)
        return
    check_value(
        lambda x: la.norm(x, order, axis, keepdims), lambda x: np.linalg.norm(x, order, axis, keepdims), x, ulps=20
    )


def test_norm_of_a_number_is_its_magnitude():
    """A tensor without axes."""
    check_value(la.norm, np.linalg.norm, np.array(-2.5))


@pytest.mark.parametrize("x", [np.zeros(3), np.array([0.0, 2.0]), np.array(0.0), np.array(2.0), np.zeros(0)], ids=repr)
def test_the_rank_of_a_vector_is_one_unless_it_is_zero(x):
    """As NumPy's; of an empty one it is 0."""
    check_value(la.matrix_rank, lambda x: np.int64(np.linalg.matrix_rank(x)), x)


def test_matrix_rank_counts_singular_values_above_the_tolerance():
    """Relative to the largest, with the standard's default."""
    a = np.diag([4.0, 1.0, 1e-3, 1e-17])
    assert 3 == value(la.matrix_rank, a)
    assert 2 == value(lambda a: la.matrix_rank(a, rtol=0.01), a)


def test_pinv_drops_singular_values_below_the_tolerance():
    """Relative to the largest."""
    a = np.diag([4.0, 1.0, 1e-3])
    np.testing.assert_allclose(value(lambda a: la.pinv(a, rtol=0.01), a), np.diag([0.25, 1.0, 0.0]), atol=1e-15)


def test_cond_is_numpys_for_rectangles_in_the_two_norm():
    """The largest singular value over the smallest, and the other way round."""
    a = sample((2, 5, 3))
    check_value(la.cond, np.linalg.cond, a, ulps=20)
    check_value(lambda a: la.cond(a, -2), lambda a: np.linalg.cond(a, -2), a, ulps=20)


@pytest.mark.parametrize("size", [1e-8, 1.0, 30.0])
def test_expm_is_precise_for_small_and_large_matrices(size):
    """The norm decides how often it is halved, and the result squared."""
    a = sample((3, 4, 4)) * size
    for matrix in a:
        check_value(la.expm, exponential, matrix, ulps=100)


def test_whole_numbers_become_float64():
    """As in NumPy; float32 beside float64 is promoted."""
    whole = np.array([[2, 1], [1, 3]])
    check_value(la.inv, np.linalg.inv, whole)
    check_value(la.norm, np.linalg.norm, whole)
    check_value(la.solve, np.linalg.solve, whole.astype("float32"), np.ones(2))
    check_value(la.eigvalsh, np.linalg.eigvalsh, whole > 1)


def test_float16_is_refused_with_the_cure():
    """LAPACK has no such arithmetic, and a silent cast would hide it."""
    with pytest.raises(lg.SpecError, match=r"not in float16: cast with \.astype\('float32'\)"):
        value(la.inv, np.eye(2, dtype="float16"))
    with pytest.raises(lg.SpecError, match=r"not in float16: cast with \.astype\('float32'\)"):
        value(la.cond, np.eye(2, dtype="float16"))


def test_results_have_the_names_of_the_standard():
    """Whoever writes ``.eigenvalues`` need not know the order."""

    def step(ctx, a):
        return (
            la.eigh(a).eigenvalues,
            la.eigh(a).eigenvectors,
            la.qr(a).Q,
            la.qr(a).R,
            la.svd(a, full_matrices=False),
            la.slogdet(a),
        )

    a = positive((3, 3))
    w, v, q, r, svd, slogdet = lg.VariableEnvironment(dtype="float64").run(step, a)
    np.testing.assert_allclose((v * w) @ v.T, a)
    np.testing.assert_allclose(q @ r, a)
    np.testing.assert_allclose((svd.U * svd.S) @ svd.Vh, a)
    np.testing.assert_allclose(slogdet.sign * np.exp(slogdet.logabsdet), np.linalg.det(a))


def test_only_one_triangle_is_read_by_cholesky_and_eigh():
    """The lower one, and the upper one for ``upper=True``, as NumPy does."""
    a = positive((4, 4))
    lower, upper = np.tril(a) + 9 * np.triu(sample((4, 4)), 1), np.triu(a) + 9 * np.tril(sample((4, 4)), -1)
    check_value(la.cholesky, np.linalg.cholesky, lower)
    check_value(lambda a: la.cholesky(a, upper=True), lambda a: np.linalg.cholesky(a, upper=True), upper)
    check_value(la.eigvalsh, np.linalg.eigvalsh, lower)


def test_the_module_holds_the_array_api_extension():
    """Every name of the standard's linear algebra extension."""
    standard = [
        "cholesky",
        "cross",
        "det",
        "diagonal",
        "eigh",
        "eigvalsh",
        "inv",
        "matmul",
        "matrix_norm",
        "matrix_power",
        "matrix_rank",
        "matrix_transpose",
        "outer",
        "pinv",
        "qr",
        "slogdet",
        "solve",
        "svd",
        "svdvals",
        "tensordot",
        "trace",
        "vecdot",
        "vector_norm",
    ]
    assert [] == [name for name in standard if name not in la.__all__ or not callable(getattr(la, name))]


# Refusals, at the user's line.


def refusal(step, *arrays):
    """The whole message of the error that a step raises."""
    with pytest.raises(lg.SpecError) as raised:
        lg.VariableEnvironment(dtype="float64").run(step, *arrays)
    return str(raised.value)


def test_a_matrix_that_is_not_square_is_refused():
    """The message in full."""

    def step(ctx, a):
        return la.inv(a)

    assert refusal(step, np.zeros((2, 3))) == (
        "cannot inv float64[2, 3]\n\n"
        f"{at(step, 'la.inv')}\n\n"
        "    a:  float64[2, 3]   placeholder 'a'\n"
        "    The matrices are 2 by 3; they must be square."
    )


def test_a_right_side_that_does_not_fit_is_refused():
    """The message in full, for matrices and for a vector."""

    def step(ctx, a, b):
        return la.solve(a, b)

    assert refusal(step, np.zeros((3, 3)), np.zeros((4, 2))) == (
        "cannot solve float64[3, 3] and float64[4, 2]\n\n"
        f"{at(step, 'la.solve')}\n\n"
        "    a:  float64[3, 3]   placeholder 'a'\n"
        "    b:  float64[4, 2]   placeholder 'b'\n"
        "    The matrix has 3 rows, the right side 4; they must be as many."
    )
    assert refusal(step, np.zeros((3, 3)), np.zeros(4)) == (
        "cannot solve float64[3, 3] and float64[4]\n\n"
        f"{at(step, 'la.solve')}\n\n"
        "    a:  float64[3, 3]   placeholder 'a'\n"
        "    b:  float64[4]   placeholder 'b'\n"
        "    The matrix has 3 rows, the vector 4 elements; they must be as many."
    )


ONE = np.zeros(3)
WIDE = np.zeros((2, 3))
THREE = np.zeros((2, 3, 3))


REFUSALS = [
    (la.inv, [ONE], "Matrices lie in the last two axes; this has 1."),
    (la.det, [WIDE], "The matrices are 2 by 3; they must be square."),
    (la.slogdet, [WIDE], "The matrices are 2 by 3; they must be square."),
    (la.cholesky, [WIDE], "The matrices are 2 by 3; they must be square."),
    (lambda a: la.cholesky(a, upper=True), [WIDE], "The matrices are 3 by 2; they must be square."),
    (la.eigh, [WIDE], "The matrices are 2 by 3; they must be square."),
    (la.eigvalsh, [ONE], "Matrices lie in the last two axes; this has 1."),
    (la.expm, [WIDE], "The matrices are 2 by 3; they must be square."),
    (la.qr, [ONE], "Matrices lie in the last two axes; this has 1."),
    (lambda a: la.qr(a, mode="raw"), [WIDE], "mode is 'reduced' or 'complete'."),
    (la.svd, [ONE], "Matrices lie in the last two axes; this has 1."),
    (lambda a: la.svd(a, full_matrices=True), [ONE], "Matrices lie in the last two axes; this has 1."),
    (la.svdvals, [ONE], "Matrices lie in the last two axes; this has 1."),
    (la.pinv, [ONE], "Matrices lie in the last two axes; this has 1."),
    (la.solve, [WIDE, ONE], "The matrices are 2 by 3; they must be square."),
    (la.solve, [ONE, ONE], "Matrices lie in the last two axes; this has 1."),
    (la.solve, [THREE, np.zeros(())], "The right side needs an axis."),
    (
        la.solve,
        [THREE, np.zeros((3, 3, 1))],
        "The axes before the last two are [2] and [3], which do not broadcast",
    ),
    (la.solve_triangular, [THREE, np.zeros((4, 1))], "The matrix has 3 rows, the right side 4"),
    (la.trace, [ONE], "It needs two axes."),
    (la.diagonal, [ONE], "It needs two axes."),
    (lambda a: la.matrix_power(a, 2), [WIDE], "only square matrices have powers"),
    (lambda a: la.matrix_power(a, 0.5), [THREE], "The power of a matrix is a whole number."),
    (la.matrix_norm, [ONE], "Matrices lie in the last two axes."),
    (lambda a: la.matrix_norm(a, ord=3), [WIDE], "The order of a matrix norm is"),
    (lambda a: la.matrix_norm(a, ord="max"), [WIDE], "The order of a matrix norm is"),
    (lambda a: la.vector_norm(a, ord="fro"), [ONE], "The order of a vector's norm is a number"),
    (lambda a: la.vector_norm(a, axis=1), [ONE], "Axis 1 does not exist"),
    (lambda a: la.norm(a, 2), [THREE], "Say over which axis"),
    (lambda a: la.norm(a, axis=(0, 1, 2)), [THREE], "A norm is over one axis, for vectors, or two, for matrices."),
    (lambda a: la.norm(a, axis=(0, 3)), [THREE], "Axis 3 does not exist"),
    (lambda a: la.cond(a, 1), [WIDE], "The matrices are 2 by 3; they must be square."),
    (lambda a: la.multi_dot([a]), [WIDE], "fewer than two matrices"),
    (lambda a, b: la.multi_dot([a, b, b]), [WIDE, ONE], "Number 1 is float64[3]"),
    (lambda a, b: la.multi_dot([a, b]), [WIDE, WIDE], "The left has 3 columns, the right 2 rows"),
    (lambda a: la.matrix_norm(a, ord=-2), [np.zeros((0, 3))], "There is no min of no elements."),
    (la.cond, [np.zeros((2, 0, 3))], "A matrix without elements has no condition number."),
]


@pytest.mark.parametrize(("f", "arrays", "reason"), REFUSALS, ids=[row[2] for row in REFUSALS])
def test_what_does_not_fit_is_refused_with_the_reason(f, arrays, reason):
    """When the op is written, before anything is computed."""
    assert reason in refusal(lambda ctx, *xs: f(*xs), *arrays)


# Failures while running.

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def first(ctx, a):
    """One line for each function that can fail, so that the note can be looked for."""
    return la.inv(a)


def second(ctx, a):
    """As ``first``."""
    return la.solve(a, np.ones(2))


def third(ctx, a):
    """As ``first``; an indefinite matrix."""
    return la.cholesky(a - 9 * np.eye(2))


def fourth(ctx, a):
    """As ``first``."""
    return la.solve_triangular(a * np.eye(2) - np.eye(2), np.ones(2))


def fifth(ctx, a):
    """As ``first``; the value is −∞, the derivative does not exist."""
    return lg.grad(la.slogdet(a).logabsdet, a)


@pytest.mark.parametrize(
    ("step", "op", "needle"),
    [
        (first, "inv", "la.inv"),
        (second, "solve", "la.solve"),
        (third, "cholesky", "la.cholesky"),
        (fourth, "solve_triangular", "la.solve_triangular"),
        (fifth, "inv", "la.slogdet"),
    ],
    ids=["inv", "solve", "cholesky", "solve_triangular", "gradient of slogdet"],
)
def test_a_failure_while_running_names_the_line(step, op, needle):
    """LinAlgError with the engine's note, the first time, and when the program that was written for it runs."""
    env = lg.VariableEnvironment(dtype="float64")
    compiled = env.compile(step)
    good = np.array([[11.0, 1.0], [1.0, 12.0]])
    for run in (lambda a: env.run(step, a), compiled):
        for a in (SINGULAR, good, SINGULAR):
            if a is good:
                run(a)
                continue
            with pytest.raises(np.linalg.LinAlgError) as raised:
                run(a)
            note = "".join(traceback.format_exception_only(raised.value))
            assert f"while evaluating {op}(" in note
            assert at(step, needle).strip() in note


def test_a_failure_while_running_changes_nothing():
    """Not even the variable whose update was computed before it."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.eye(2))

    def step(ctx, a):
        w = ctx.variable("w")
        return ctx.assign(w, w + 1), la.inv(a)

    with pytest.raises(np.linalg.LinAlgError):
        env.run(step, SINGULAR)
    np.testing.assert_array_equal(env["w"], np.eye(2))


@pytest.mark.parametrize("f", [la.solve, la.solve_triangular])
@pytest.mark.parametrize(
    ("a", "b"), [((3, 3), (2, 4, 5)), ((5, 3, 3), (2, 2)), ((3, 4), (2, 4, 5)), ((1, 3, 3), (2, 4, 5))]
)
def test_a_refusal_to_solve_shows_the_shapes_that_were_given(f, a, b):
    """Not those to which they are broadcast, or moved, within."""
    first, *_, left, right, _ = refusal(lambda ctx, a, b: f(a, b), np.zeros(a), np.zeros(b)).splitlines()
    assert first.startswith(f"cannot {f.__name__} float64{list(a)} and float64{list(b)}")
    assert left.split() == ["a:", *f"float64{list(a)}".split(), "placeholder", "'a'"]
    assert right.split() == ["b:", *f"float64{list(b)}".split(), "placeholder", "'b'"]
