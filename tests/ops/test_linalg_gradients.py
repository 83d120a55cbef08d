"""Derivatives of linear algebra: against difference quotients, and where they are delicate, against the truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.testing import check_gradient

la = lg.linalg
INF = float("inf")


def sample(shape, seed=0):
    """Numbers without structure."""
    return np.random.default_rng(seed).standard_normal(shape)


def spread(shape):
    """Numbers of which no two come near each other, nor their negatives, nor sums of rows; none near 0."""
    size = int(np.prod(shape))
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size)
    return (np.random.default_rng(0).permutation(size) * 0.17 + 0.3 + 0.01 * np.arange(size)).reshape(
        shape
    ) * signs.reshape(shape)


def symmetric(a):
    """The symmetric part, so that every change of ``a`` is a symmetric change of what is decomposed."""
    return 0.5 * (a + a.mT)


def positive(a):
    """A positive definite matrix from any."""
    return a @ a.mT + 2 * lg.eye(a.shape[-1], dtype="float64")


def value(f, *arrays):
    """What ``f`` computes of the arrays, twice: the second time by the program that was written for it."""
    env = lg.VariableEnvironment(dtype="float64")
    compiled = env.compile(lambda ctx, *xs: f(*xs))
    one, _, two = env.run(lambda ctx, *xs: f(*xs), *arrays), compiled(*arrays), compiled(*arrays)
    np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-10)
    return one


def gradient(f, *arrays):
    """Gradient of the sum of ``f`` for its first argument."""
    return value(lambda *xs: lg.grad(f(*xs), xs[0]), *arrays)


SQUARE = {
    "inv": la.inv,
    "det": la.det,
    "slogdet": lambda a: la.slogdet(a).logabsdet,
    "trace": lambda a: la.trace(a, offset=-1),
    "matrix_power 5": lambda a: la.matrix_power(a, 5),
    "matrix_power -2": lambda a: la.matrix_power(a, -2),
    "matrix_power 0": lambda a: la.matrix_power(a, 0) * a,
    # The condition of a 1×1 matrix is 1; with a sum beside it there is something to compare.
    "cond": lambda a: la.cond(a) + lg.sum(a, axis=(-2, -1)),
    "cond 1": lambda a: la.cond(a, 1) + lg.sum(a, axis=(-2, -1)),
    "expm": la.expm,
    "cholesky": lambda a: la.cholesky(positive(a)),
    "cholesky upper": lambda a: la.cholesky(positive(a), upper=True),
    "eigh": lambda a: la.eigh(symmetric(a)),
    "eigvalsh": lambda a: la.eigvalsh(symmetric(a)),
    "eigenvectors to the fourth": lambda a: la.eigh(symmetric(a)).eigenvectors ** 4,
    "qr": la.qr,
    "svd": la.svd,
}
RECTANGLE = {
    "qr": la.qr,
    "Q of qr": lambda a: la.qr(a).Q,
    "R of qr": lambda a: la.qr(a).R,
    "svd": lambda a: la.svd(a, full_matrices=False),
    "U of svd": lambda a: la.svd(a, full_matrices=False).U,
    "Vh of svd": lambda a: la.svd(a, full_matrices=False).Vh,
    "nearest orthonormal": lambda a: la.svd(a, full_matrices=False).U @ la.svd(a, full_matrices=False).Vh,
    "svdvals": la.svdvals,
    "pinv": la.pinv,
    "norm": la.norm,
    "diagonal": lambda a: la.diagonal(a, offset=1),
    "trace": la.trace,
}
for order in ("fro", "nuc", 1, -1, 2, -2, INF, -INF):
    RECTANGLE[f"matrix_norm {order}"] = lambda a, order=order: la.matrix_norm(a, ord=order, keepdims=True)
for order in (0.5, 1, 2, 3, 4, -1, -2.5, INF, -INF):
    RECTANGLE[f"vector_norm {order}"] = lambda a, order=order: la.vector_norm(a, ord=order, axis=-1)
    RECTANGLE[f"vector_norm {order} of all"] = lambda a, order=order: la.vector_norm(a, ord=order)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (2, 4, 4), (5, 5), (6, 6)], ids=str)
@pytest.mark.parametrize("f", SQUARE.values(), ids=SQUARE)
def test_derivatives_of_a_function_of_square_matrices(f, shape):
    """First and second, reverse and forward, for one matrix and for a batch."""
    check_gradient(f, sample(shape, seed=3) + 1.5 * np.diag(np.arange(1.0, 1 + shape[-1])))


@pytest.mark.thinned(4)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 5, 3), (2, 3, 5), (1, 3), (3, 1), (1, 2, 2, 3)], ids=str)
@pytest.mark.parametrize("f", RECTANGLE.values(), ids=RECTANGLE)
def test_derivatives_of_a_function_of_tall_and_wide_matrices(f, shape):
    """First and second, reverse and forward, for one matrix and for a batch."""
    check_gradient(f, spread(shape))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((2, 3, 3), (3,)),
        ((2, 3, 3), (2, 3, 2)),
        ((3, 3), (2, 3, 2)),
        ((2, 1, 3, 3), (4, 3, 1)),
        ((1, 3, 3), (4, 3, 1)),
    ],
    ids=str,
)
def test_derivatives_of_solve(a, b):
    """For both operands, where either has axes that the other has not."""
    check_gradient(la.solve, sample(a) + 3 * np.eye(3), sample(b, 1))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("a", "b"), [((3, 3), (3,)), ((2, 3, 3), (2, 3, 2)), ((3, 3), (2, 3, 2)), ((2, 3, 3), (3, 1))], ids=str
)
def test_derivatives_of_solve_triangular(a, b, lower, transposed):
    """For both operands; nothing comes from the triangle that is not read."""
    check_gradient(lambda a, b: la.solve_triangular(a, b, lower, transposed), sample(a) + 3 * np.eye(3), sample(b, 1))


def test_derivatives_of_multi_dot():
    """With a vector at each end."""
    arrays = [sample(shape, i) for i, shape in enumerate([(4,), (4, 2), (2, 3), (3,)])]
    check_gradient(lambda *xs: la.multi_dot(xs), *arrays)


@pytest.mark.parametrize("name", ["inv", "solve", "cholesky", "eigh", "qr", "svd", "det", "pinv", "expm"])
def test_a_third_derivative_is_the_difference_quotient_of_the_second(name):
    """There is no order at which the formulas end."""
    f = {**SQUARE, "pinv": la.pinv, "solve": lambda a: la.solve(a, np.arange(4.0))}[name]
    directions = [sample((4, 4), seed) for seed in (5, 6)]

    def second(a):
        ys = f(a)
        total = sum(lg.sum(y * sample(y.shape, 7)) for y in (ys if isinstance(ys, tuple) else [ys]))
        for v in directions:
            total = lg.sum(lg.grad(total, a) * v)
        return total

    check_gradient(second, sample((4, 4), 3) + 1.5 * np.diag(np.arange(1.0, 5.0)), order=1)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3, 3), (2, 0, 0)], ids=str)
@pytest.mark.parametrize(
    "name", ["inv", "det", "slogdet", "trace", "cholesky", "eigh", "eigvalsh", "qr", "svd", "expm", "matrix_power 5"]
)
def test_a_gradient_of_empty_matrices_is_empty(name, shape):
    """In both modes; the determinant of a matrix without elements is 1, and has nothing to depend on."""

    def step(ctx, a):
        ys = SQUARE[name](a)
        ys = list(ys) if isinstance(ys, tuple) else [ys]
        return lg.grad(ys, a), lg.jvp(ys, a, a)

    pulled, pushed = lg.VariableEnvironment(dtype="float64").run(step, np.zeros(shape))
    assert shape == pulled.shape
    assert [] == [t for t in pushed if np.any(t)]


@pytest.mark.parametrize("name", [*SQUARE, "pinv", "norm", "svdvals", "solve"])
def test_a_gradient_in_float32_stays_float32(name):
    """And agrees with the one in float64."""
    f = {**RECTANGLE, **SQUARE, "solve": lambda a: la.solve(a, np.arange(3, dtype="float32"))}[name]
    a = sample((3, 3), 3) + 1.5 * np.diag(np.arange(1.0, 4.0))

    def step(ctx, a):
        ys = f(a)
        return lg.grad(list(ys) if isinstance(ys, tuple) else ys, a)

    if name.startswith("cholesky"):
        f = {"cholesky": la.cholesky, "cholesky upper": lambda a: la.cholesky(a, upper=True)}[name]
        a = a @ a.T + np.eye(3)
    single = lg.VariableEnvironment().run(step, a.astype("float32"))
    double = lg.VariableEnvironment().run(step, a)
    assert (np.dtype("float32"), np.dtype("float64")) == (single.dtype, double.dtype)
    np.testing.assert_allclose(single, double, rtol=2e-3, atol=1e-4 * np.abs(double).max())


# Determinants of singular matrices.


def of_rank(n, rank, seed=0):
    """A matrix of just that rank, and the singular values 1, 2, …"""
    u, _, vt = np.linalg.svd(sample((n, n), seed))
    return (u[:, :rank] * np.arange(1.0, rank + 1)) @ vt[:rank]


def cofactors(a):
    """By the definition."""
    n = len(a)
    places = itertools.product(range(n), range(n))
    minors = [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for i, j in places]
    return np.reshape(minors, (n, n))


@pytest.mark.parametrize(("n", "rank"), [(n, n - less) for n in range(1, 8) for less in range(5) if n >= less])
def test_the_gradient_of_a_determinant_is_the_matrix_of_cofactors_at_any_rank(n, rank):
    """Also where det(A)·A⁻ᵀ is 0·∞."""
    a = of_rank(n, rank)
    np.testing.assert_allclose(gradient(la.det, a), cofactors(a), rtol=1e-10, atol=1e-10 * np.prod(np.arange(1, n + 1)))


@pytest.mark.parametrize(("n", "rank"), [(n, n - less) for n in range(2, 7) for less in range(4) if n >= less])
def test_the_second_derivative_of_a_determinant_is_right_at_any_rank(n, rank):
    """In all four combinations of modes; with a sum beside it, as it is zero where two ranks or more are missing."""
    check_gradient(lambda a: la.det(a) + lg.sum(a * sample((n, n), 4)), of_rank(n, rank))


@pytest.mark.thinned(5)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_the_hessian_of_a_determinant_at_the_identity(n):
    """tr X · tr Y − tr XY, although all singular values are equal."""
    hessian = value(lambda a: lg.hessian(la.det(a), a), np.eye(n))
    one = np.eye(n)
    expected = np.einsum("ij,kl->ijkl", one, one) - np.einsum("il,jk->ijkl", one, one)
    np.testing.assert_allclose(hessian, expected, atol=1e-12)


def test_the_third_derivative_of_a_determinant_at_zero():
    """Of a 3×3 matrix it is the sign of permutations; of a 4×4 matrix it is zero."""
    x, y, z = (sample((3, 3), i) for i in range(3))

    def third(a, *directions):
        total = la.det(a)
        for v in directions:
            total = lg.sum(lg.grad(total, a) * v)
        return total

    # det(ax + by + cz) has abc times this.
    signs = itertools.product([0, 1], repeat=3)
    expected = sum((-1) ** (3 - sum(s)) * np.linalg.det(s[0] * x + s[1] * y + s[2] * z) for s in signs)
    np.testing.assert_allclose(value(lambda a: third(a, x, y, z), np.zeros((3, 3))), expected)
    big = [sample((4, 4), i) for i in range(3)]
    assert 0 == value(lambda a: third(a, *big), np.zeros((4, 4)))


def test_matrices_of_a_batch_may_be_singular_beside_regular_ones():
    """Each is treated by itself."""
    a = np.stack([of_rank(5, rank) for rank in (5, 4, 3, 1, 0)])
    np.testing.assert_allclose(gradient(la.det, a), np.stack([cofactors(m) for m in a]), atol=1e-9)


def test_the_gradient_of_a_determinant_is_precise_for_an_ill_conditioned_matrix():
    """The least singular value is 1e-12 of the largest."""
    u, _, vt = np.linalg.svd(sample((6, 6)))
    s = np.array([1.0, 0.8, 0.5, 0.4, 0.3, 1e-12])
    others = np.array([np.prod(np.delete(s, i)) for i in range(6)])
    expected = np.linalg.det(u) * np.linalg.det(vt) * (u * others) @ vt
    np.testing.assert_allclose(gradient(la.det, (u * s) @ vt), expected, rtol=1e-10, atol=1e-14)


# Equal values.


def equal_values():
    """A symmetric matrix with eigenvalues 1, 1, 1, 2, 2, and its eigenvectors."""
    v, _ = np.linalg.qr(sample((5, 5)))
    return (v * np.array([1.0, 1.0, 1.0, 2.0, 2.0])) @ v.T


@pytest.mark.parametrize("a", [np.eye(4), np.zeros((4, 4)), equal_values()], ids=["identity", "zero", "pairs"])
@pytest.mark.parametrize("values", [la.eigvalsh, lambda a: la.eigh(a).eigenvalues], ids=["eigvalsh", "eigh"])
def test_a_symmetric_function_of_equal_eigenvalues_has_its_gradient(a, values):
    """Of Σ λ it is I, of Σ λ³ it is 3A²."""
    np.testing.assert_allclose(gradient(lambda a: lg.sum(values(a)), a), np.eye(len(a)), atol=1e-12)
    np.testing.assert_allclose(gradient(lambda a: lg.sum(values(a) ** 3), a), 3 * a @ a, atol=1e-12)


@pytest.mark.parametrize(
    "a", [np.eye(4), equal_values(), equal_values()[:, :3], np.eye(4)[:2]], ids=["identity", "pairs", "tall", "wide"]
)
@pytest.mark.parametrize("values", [la.svdvals, lambda a: la.svd(a, full_matrices=False).S], ids=["svdvals", "svd"])
def test_a_symmetric_function_of_equal_singular_values_has_its_gradient(a, values):
    """Of Σ s² it is 2A, of Σ s⁴ it is 4AAᵀA."""
    np.testing.assert_allclose(gradient(lambda a: lg.sum(values(a) ** 2), a), 2 * a, atol=1e-12)
    np.testing.assert_allclose(gradient(lambda a: lg.sum(values(a) ** 4), a), 4 * a @ a.T @ a, atol=1e-12)


def test_the_nuclear_norm_of_an_orthogonal_matrix_has_itself_as_its_gradient():
    """All singular values are 1."""
    q, _ = np.linalg.qr(sample((4, 4)))
    np.testing.assert_allclose(gradient(lambda a: la.matrix_norm(a, ord="nuc"), q), q, atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_nuclear_norm_below_full_rank_has_a_subgradient(rank):
    """Finite, of spectral norm 1 at most, and ⟨G, A⟩ = ‖A‖: that is what a subgradient of a norm is."""
    a = of_rank(4, rank)
    g = gradient(lambda a: la.matrix_norm(a, ord="nuc"), a)
    assert np.linalg.norm(g, 2) <= 1 + 1e-12
    np.testing.assert_allclose(np.sum(g * a), np.linalg.norm(a, "nuc"), atol=1e-12)


def test_a_projector_on_equal_eigenvalues_has_its_gradient():
    """The projector on the space of eigenvalue 2 does not depend on the basis that is chosen in it."""
    a, v = equal_values(), sample((5, 5), 2)

    def projector(a):
        vectors = la.eigh(a).eigenvectors[:, 3:]
        return lg.sum(vectors @ vectors.mT * v)

    _, vectors = np.linalg.eigh(a)
    ones, twos = vectors[:, :3] @ vectors[:, :3].T, vectors[:, 3:] @ vectors[:, 3:].T
    # dP = P dA Q / (2 − 1) + its transpose, with P and Q the projectors.
    pulled = twos @ (v + v.T) @ ones
    np.testing.assert_allclose(gradient(projector, a), 0.5 * (pulled + pulled.T), atol=1e-10)


def test_vectors_of_equal_values_give_no_nan():
    """There the derivative of a single vector does not exist; what is returned is finite."""
    w = sample((3, 3), 1)
    for f in (
        lambda a: la.eigh(a).eigenvectors,
        lambda a: la.svd(a, full_matrices=False).U,
        lambda a: la.svd(a, full_matrices=False).Vh,
    ):
        assert np.all(np.isfinite(gradient(lambda a, f=f: f(a) * w, np.eye(3))))
        assert np.all(np.isfinite(gradient(lambda a, f=f: f(a) * w, np.zeros((3, 3)))))


# Symmetric matrices.


@pytest.mark.parametrize(
    "f",
    [la.cholesky, lambda a: la.cholesky(a, upper=True), la.eigvalsh, lambda a: la.eigh(a).eigenvectors],
    ids=["cholesky", "cholesky upper", "eigvalsh", "eigh"],
)
def test_the_gradient_for_a_symmetric_matrix_is_symmetric(f):
    """Although only one triangle is read, so that a step along it keeps the matrix symmetric."""
    a = sample((4, 4))
    g = gradient(lambda a: f(a) * sample(f(a).shape, 1), a @ a.T + np.eye(4))
    np.testing.assert_allclose(g, g.T, atol=1e-14)
    assert np.abs(g).max() > 0.01


@pytest.mark.parametrize(
    "f", [la.cholesky, la.eigvalsh, lambda a: la.eigh(a).eigenvectors], ids=["cholesky", "eigvalsh", "eigh"]
)
def test_forward_mode_takes_the_symmetric_part_of_a_direction(f):
    """So that both modes agree along any direction, although no change off the symmetric matrices has a meaning."""
    a, t, w = sample((4, 4)), sample((4, 4), 1), sample((4, 4), 2)

    def step(a):
        y = f(a) * w
        return lg.stack([lg.sum(lg.jvp(y, a, t)), lg.sum(lg.jvp(y, a, t.T)), lg.sum(lg.grad(y, a) * t)])

    one, other, reverse = value(step, a @ a.T + np.eye(4))
    np.testing.assert_allclose([one, other], [reverse, reverse], rtol=1e-10)


def test_the_log_determinant_through_cholesky_has_the_inverse_as_its_gradient():
    """2 Σ log L_ii = log det A."""
    a = sample((4, 4))
    a = a @ a.T + np.eye(4)
    g = gradient(lambda a: 2 * lg.sum(lg.log(la.diagonal(la.cholesky(a)))), a)
    np.testing.assert_allclose(g, np.linalg.inv(a), rtol=1e-12)


# Corners of norms.


@pytest.mark.parametrize("order", [1, 2, 3, 4, 1.5, INF])
def test_the_gradient_of_a_norm_at_zero_is_zero(order):
    """And no NaN; of the maximum it is shared by elements whose slope is 0."""
    np.testing.assert_array_equal(gradient(lambda x: la.vector_norm(x, ord=order), np.zeros(3)), np.zeros(3))
    np.testing.assert_array_equal(gradient(la.norm, np.zeros((2, 3))), np.zeros((2, 3)))


def test_the_gradient_of_a_norm_holds_beside_zeros():
    """An element that is zero has the slope 0 for every order above 1."""
    x = np.array([3.0, 0.0, -4.0])
    np.testing.assert_allclose(gradient(la.norm, x), x / 5)
    np.testing.assert_allclose(
        gradient(lambda x: la.vector_norm(x, ord=3), x), np.sign(x) * x**2 / np.linalg.norm(x, 3) ** 2, rtol=1e-12
    )
    rows = np.array([[3.0, -4.0], [0.0, 0.0]])
    np.testing.assert_allclose(gradient(lambda x: la.norm(x, axis=1), rows), np.array([[0.6, -0.8], [0.0, 0.0]]))


def test_elements_that_tie_for_the_largest_share_the_gradient():
    """Half each."""
    g = gradient(lambda x: la.vector_norm(x, ord=INF), np.array([2.0, -2.0, 1.0]))
    np.testing.assert_array_equal(g, [0.5, -0.5, 0.0])


# What has no derivative.


def test_orders_that_count_have_a_gradient_of_zero():
    """The number of elements that are not zero, and the rank."""
    np.testing.assert_array_equal(gradient(lambda x: la.vector_norm(x, ord=0), sample(3)), np.zeros(3))
    np.testing.assert_array_equal(
        gradient(lambda a: la.matrix_rank(a).astype("float64") + lg.sum(a) * 0, sample((3, 3))), np.zeros((3, 3))
    )


@pytest.mark.parametrize(
    ("f", "op"),
    [
        (lambda a: la.qr(a, mode="complete").Q, "qr_complete"),
        (lambda a: la.svd(a, full_matrices=True).U, "svd_full"),
    ],
    ids=["qr", "svd"],
)
def test_an_arbitrary_completion_has_no_derivative(f, op):
    """Columns that complete a basis are a choice, not a function."""
    with pytest.raises(
        lg.GradientError, match=f"cannot differentiate {op} with respect to 'a': no derivative is known"
    ):
        gradient(f, sample((4, 2)))


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (lambda a: la.qr(a, mode="complete"), (3, 3)),
        (lambda a: la.qr(a, mode="complete"), (2, 4)),
        (lambda a: la.svd(a, full_matrices=True), (3, 3)),
    ],
    ids=["square qr", "wide qr", "square svd"],
)
def test_what_is_complete_already_has_its_derivative(f, shape):
    """There is nothing to choose."""
    check_gradient(f, sample(shape))


def test_a_derivative_of_dependent_columns_is_refused_by_lapack():
    """QR of a matrix whose columns are dependent is not differentiable."""
    with pytest.raises(np.linalg.LinAlgError):
        gradient(lambda a: la.qr(a).Q, np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]))
