"""Linear algebra of small matrices in native code: against NumPy, and by what each result must satisfy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import Case, agree, case, random_floats
from test_meaning import all_agree

import lazygrad as lg
from lazygrad.engine.lanes import matrices
from lazygrad.engine.lower.ways import Way
from lazygrad.ops.decompositions import _cholesky_cotangent, _cholesky_inverse

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

SIZES = range(1, 9)
DTYPES = ("float32", "float64")
Step = Callable[..., Any]


def regular(batch: Any, n: int, dtype: str = "float64", seed: int = 0) -> Any:
    """Matrices that are well conditioned, and need pivots."""
    rng = np.random.default_rng(seed)
    return (np.eye(n)[rng.permutation(n)] + rng.uniform(-1, 1, (*batch, n, n)) / 6).astype(dtype)


def definite(batch: Any, n: int, dtype: str = "float64", seed: int = 0) -> Any:
    """Symmetric positive definite matrices."""
    a = np.random.default_rng(seed).uniform(-1, 1, (*batch, n, n))
    return (a @ np.swapaxes(a, -1, -2) + np.eye(n)).astype(dtype)


def spread(batch: Any, n: int, dtype: str = "float64", seed: int = 0) -> Any:
    """Symmetric matrices whose eigenvalues are about 1 to n, so that eigenvectors are well conditioned."""
    v = np.linalg.qr(np.random.default_rng(seed).normal(size=(*batch, n, n)))[0]
    return ((v * np.arange(1, n + 1)) @ np.swapaxes(v, -1, -2)).astype(dtype)


def all_small(this: Case) -> None:
    """Check that nothing is called back, and some of it is written out."""
    assert [] == this.calls
    assert Way.SMALL in this.native.ways.way


# The formulas, with arrays for lanes.


class Arrays:
    """NumPy as what computes the elements of matrices: an element is an array, one number a matrix."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def checked(self, x: Any, wrong: Any) -> Any:
        """``x``, unless something is wrong."""
        if np.any(wrong):
            raise np.linalg.LinAlgError
        return x

    def repeated(self, most: int, state: Any, turn: Any) -> Any:
        """Turns of a loop, in every lane until it asks for no other."""
        going: Any = True
        for _ in range(most):
            after, again = turn(state)
            state = [np.where(going, x, old) for x, old in zip(after, state, strict=True)]
            going = again & going
            if not np.any(going):
                break
        return state, going


def rows_of(a: Any) -> Any:
    """A batch of matrices as rows of elements."""
    return [[a[:, i, j] for j in range(a.shape[2])] for i in range(a.shape[1])]


def array_of(rows: Any) -> Any:
    """Rows of elements as a batch of matrices."""
    shape = np.broadcast_shapes(*[np.shape(x) for row in rows for x in row])
    return np.stack([np.stack([np.broadcast_to(x, shape) for x in row], -1) for row in rows], -2)


@pytest.mark.parametrize("n", SIZES)
def test_systems_are_solved_as_precisely_as_by_lapack(n: int) -> None:
    """The residual, over the sizes of what is multiplied, is a few roundings; partial pivoting bounds it so."""
    a, b = random_floats((500, n, n), "float64"), random_floats((500, n, 2), "float64", seed=1)
    with np.errstate(all="ignore"):
        x = array_of(matrices.solve(Arrays(), rows_of(a), rows_of(b)))
    residual = np.abs(a @ x - b).max((1, 2)) / (np.abs(a).sum((1, 2)) * np.abs(x).max((1, 2)))
    assert residual.max() <= 3 * np.finfo("float64").eps


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_eigenvalues_are_as_precise_as_those_of_lapack(n: int, scale: float) -> None:
    """A·V = V·Λ and Vᵀ·V = 1 to a few roundings of the size of A, for equal values and for zeros too."""
    v = np.linalg.qr(random_floats((300, n, n), "float64"))[0]
    values = np.random.default_rng(1).integers(-2, 3, (300, 1, n)) * 1.0
    a = (v * values) @ np.swapaxes(v, 1, 2)
    a = scale * (a + np.swapaxes(a, 1, 2))
    with np.errstate(all="ignore"):
        w, x = matrices.eigh(Arrays(), rows_of(a))
    w, x = np.stack(w, -1), array_of(x)
    size, eps = np.abs(a).sum((1, 2)).max(), float(np.finfo("float64").eps)
    assert np.abs(a @ x - x * w[:, None]).max() <= 10 * eps * size
    assert np.abs(np.swapaxes(x, 1, 2) @ x - np.eye(n)).max() <= 16 * eps
    assert np.abs(w - np.linalg.eigvalsh(a)).max() <= 10 * eps * size
    assert (np.diff(w, axis=1) >= 0).all()


# In a step.

OPS: dict[str, tuple[Step, Callable[..., Any]]] = {
    "inv": (lambda ctx, a: lg.linalg.inv(a), regular),
    "solve": (lambda ctx, a: lg.linalg.solve(a, a[..., :1] + 1), regular),
    "solve of an identity": (lambda ctx, a: lg.linalg.solve(a, lg.broadcast_to(lg.eye(a.shape[-1]), a.shape)), regular),
    "det": (lambda ctx, a: lg.linalg.det(a), regular),
    "slogdet": (lambda ctx, a: tuple(lg.linalg.slogdet(a)), regular),
    "cholesky": (lambda ctx, a: lg.linalg.cholesky(a), definite),
    "upper cholesky": (lambda ctx, a: lg.linalg.cholesky(a, upper=True), definite),
    "lower": (lambda ctx, a: lg.linalg.solve_triangular(a, a + 1, lower=True), definite),
    "upper transposed": (lambda ctx, a: lg.linalg.solve_triangular(a, a + 1, transposed=True), definite),
    "qr": (lambda ctx, a: tuple(lg.linalg.qr(a)), regular),
    "qr of tall ones": (lambda ctx, a: tuple(lg.linalg.qr(a[..., : max(1, a.shape[-1] - 1)])), regular),
    "complete qr": (lambda ctx, a: tuple(lg.linalg.qr(a[..., :1], mode="complete")), regular),
    "eigvalsh": (lambda ctx, a: lg.linalg.eigvalsh(a), spread),
    "eigh": (lambda ctx, a: tuple(lg.linalg.eigh(a)), spread),
    "product": (lambda ctx, a: lg.linalg.inv(a) @ a.mT + a[..., ::-1] @ a, regular),
}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, *[pytest.param(n, marks=pytest.mark.thinned(4)) for n in (4, 5, 6, 7, 8)]])
def test_an_op_of_small_matrices_agrees_with_numpy(name: str, dtype: str, n: int) -> None:
    """All of a batch of 37, without calls back."""
    step, made = OPS[name]
    this = case(step, made((37,), n, dtype))
    all_small(this)
    agree(this, units=100)


def loss(f: Step) -> Step:
    """The gradient of a function of one argument whose result is weighed, so that all of it matters."""

    def step(ctx: Any, a: Any) -> Any:
        results = f(ctx, a)
        results = results if isinstance(results, tuple) else (results,)
        return lg.grad(lg.add_n([lg.sum(lg.sin(y + 0.3)) for y in results]), [a])

    return step


def twice(f: Step) -> Step:
    """The gradient of the size of the gradient."""

    def step(ctx: Any, a: Any) -> Any:
        (slope,) = loss(f)(ctx, a)
        return lg.grad(lg.sum(lg.square(slope)), [a])

    return step


DERIVED = [name for name in OPS if name != "complete qr"]  # whose columns beyond those of A are an arbitrary choice


@pytest.mark.parametrize("name", DERIVED)
@pytest.mark.parametrize("n", [1, 2, 3, *[pytest.param(n, marks=pytest.mark.thinned(5)) for n in (4, 5, 6, 7, 8)]])
def test_gradients_agree_with_numpy(name: str, n: int) -> None:
    """Of every op, in float64; those of determinants of four rows and more take singular values, on NumPy."""
    step, made = OPS[name]
    this = case(loss(step), made((19,), n))
    assert {"svd", "item"} >= {call.strip("_") for call in this.calls}
    agree(this, units=100)


@pytest.mark.parametrize("name", DERIVED)
def test_native_gradients_are_slopes(name: str) -> None:
    """Along a random symmetric direction, against a central difference of native values."""
    step, made = OPS[name]
    env = lg.VariableEnvironment(seed=0)

    def total(ctx: Any, a: Any) -> Any:
        results = step(ctx, a)
        results = results if isinstance(results, tuple) else (results,)
        return lg.add_n([lg.sum(lg.sin(y + 0.3)) for y in results])

    value = env.compile(total, wait=True)
    slope = env.compile(lambda ctx, a: lg.grad(total(ctx, a), [a]), wait=True)
    a, along = made((6,), 3), random_floats((6, 3, 3), "float64", seed=3)
    along = along + np.swapaxes(along, 1, 2)
    expected = (value(a + 1e-5 * along) - value(a - 1e-5 * along)) / 2e-5
    value(a), slope(a)
    np.testing.assert_allclose(np.sum(slope(a)[0] * along), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", DERIVED)
@pytest.mark.parametrize("n", [2, 3, *[pytest.param(n, marks=pytest.mark.slow) for n in (5, 8)]])
def test_second_derivatives_agree_with_numpy(name: str, n: int) -> None:
    """Of every op, in float64."""
    step, made = OPS[name]
    agree(case(twice(step), made((11,), n)), units=2_000_000)


BATCHES = [(), (1,), (2,), (3,), (7,), (8,), (9,), (16,), (33,), (2, 3), (5, 1, 7), (3, 40), (0,)]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_may_have_any_size(batch: tuple[int, ...], dtype: str) -> None:
    """None at all, one matrix, fewer than lanes, and what lanes do not divide; sums over all count each once."""

    def step(ctx: Any, a: Any) -> Any:
        y = lg.linalg.inv(a)
        folds = lg.sum(y), lg.sum(y, axis=(-1, -2)), lg.sum(y, axis=-2), lg.max(y, axis=-1)
        return y, folds, lg.linalg.inv(y + lg.sum(y, axis=-2, keepdims=True)), lg.argmax(y, axis=-1)

    agree(case(step, regular(batch, 3, dtype)), units=100)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_registers_of_any_width_give_the_same(width: int) -> None:
    """Lanes are matrices; what one of them is does not hang on the others."""
    f = loss(OPS["solve"][0])
    this = case(f, regular((21,), 4), width=width)
    np.testing.assert_array_equal(this.found[0], case(f, regular((21,), 4)).found[0])


def test_batches_broadcast() -> None:
    """One matrix for many right sides, many for one, and axes of size 1."""
    a, b = regular((4, 1), 3), random_floats((5, 3, 2), "float64")
    this = case(lambda ctx, a, b: (lg.linalg.solve(a, b), a @ b, a[0, 0] @ b, b.mT @ a), a, b)
    agree(this, units=100)
    assert [] == this.calls


@pytest.mark.parametrize("name", ["inv", "qr", "eigh", "det", "cholesky"])
def test_what_a_matrix_gives_does_not_hang_on_the_others(name: str) -> None:
    """Bit for bit, be it computed alone, in a register with others, or in one of many chunks."""
    step, made = OPS[name]
    a = made((20_003,), 3)
    whole = case(step, a)
    assert whole.chunks > 1
    for part in (slice(None, 1), slice(5, 10), slice(-40, None)):
        for found, all_of_them in zip(case(step, a[part]).found, whole.found, strict=True):
            np.testing.assert_array_equal(found, all_of_them[part])


VIEWS: dict[str, Step] = {
    "transposed": lambda ctx, a: lg.linalg.inv(a.mT),
    "axes of the batch behind": lambda ctx, a: lg.linalg.inv(lg.moveaxis(a, 0, -1)[:3, :3].T),
    "every second": lambda ctx, a: lg.linalg.inv(a[::2, ::-1]),
    "a part": lambda ctx, a: lg.linalg.inv(a[:, 1:, 1:]),
    "from a wide array": lambda ctx, a: lg.linalg.inv(lg.reshape(a, (20, 8, 4))[:, 2:5, 1:]),
    "computed": lambda ctx, a: lg.linalg.inv(lg.exp(a / 9) * a + lg.sum(a, axis=0) / 99),
    "a number": lambda ctx, a: lg.linalg.solve(a, lg.ones((40, 4, 2))),
    "a diagonal": lambda ctx, a: lg.linalg.inv(a) * lg.eye(4) + lg.expand_dims(lg.linalg.diagonal(a), 1),
    "taken": lambda ctx, a: lg.linalg.inv(a[np.array([3, -1, 0])]),
    "joined": lambda ctx, a: lg.concat([lg.linalg.inv(a), a], axis=-1),
    "joined before": lambda ctx, a: lg.linalg.inv(lg.concat([a[..., 2:], a[..., :2]], axis=-1)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_matrices_are_read_wherever_they_lie(name: str) -> None:
    """Views, what is computed beside, and what is made of the result."""
    this = case(VIEWS[name], regular((40,), 4))
    agree(this, units=2_000)
    assert [] == this.calls


@pytest.mark.parametrize("name", ["inv", "solve", "cholesky", "qr", "eigh", "det", "lower"])
def test_a_kernel_of_small_matrices_means_what_it_computes(name: str) -> None:
    """The plain interpreter of descriptions gives the same."""
    step, made = OPS[name]
    all_agree(loss(step), made((5,), 2), exact=False)


def test_a_gradient_is_one_kernel() -> None:
    """A solution, what is made of it, and both gradients go over the matrices once."""

    def step(ctx: Any, a: Any, b: Any) -> Any:
        total = lg.sum(lg.square(lg.linalg.solve(a, b)))
        return total, lg.grad(total, [a, b])

    this = case(step, regular((50,), 3), random_floats((50, 3, 1), "float64"))
    agree(this, units=1000)
    assert 1 == len(this.native.entries)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_log_likelihood_with_its_gradient_is_written_out(n: int) -> None:
    """Whose passes make the derivative of a Cholesky factor of an inverse, or of a cotangent."""

    def step(ctx: Any, a: Any, b: Any) -> Any:
        factor = lg.linalg.cholesky(a)
        half = lg.linalg.solve_triangular(factor, b, lower=True)
        total = lg.sum(lg.log(lg.linalg.diagonal(factor))) + 0.5 * lg.sum(lg.square(half))
        return total, lg.grad(total, [a, b])

    this = case(step, definite((12,), n), random_floats((12, n, 1), "float64"))
    agree(this, units=2000)
    assert [] == this.calls


@pytest.mark.parametrize("n", [1, 3, 6])
def test_the_derivatives_of_a_cholesky_factor_agree_with_numpy(n: int) -> None:
    """The inverse and the cotangent of the product, of a lower triangle whatever stands above it."""
    a, g = regular((10,), n), random_floats((10, n, n), "float64")
    np.einsum("...ii->...i", a)[...] += 5
    this = case(lambda ctx, a, g: (_cholesky_inverse(lg.tril(a)), _cholesky_cotangent(lg.tril(a), g)), a, g)
    agree(this, units=100)
    assert [] == this.calls


PRODUCTS: dict[str, tuple[Step, int, Way]] = {
    "few multiplications": (lambda ctx, a: (a * 2) @ (a + 1), 4, Way.SMALL),
    "many": (lambda ctx, a: (a * 2) @ (a + 1), 5, Way.PRODUCT),
    "many beside a solution": (lambda ctx, a: lg.exp(lg.linalg.inv(a) * 2) @ (a + 1), 5, Way.SMALL),
    "many before a solution": (lambda ctx, a: lg.linalg.inv(a @ a - a), 5, Way.SMALL),
    "many beside another batch's": (lambda ctx, a: (a @ a) + lg.linalg.inv(a[0]), 5, Way.PRODUCT),
    "one matrix": (lambda ctx, a: a[0] @ a[1], 3, Way.PRODUCT),
    "one on the right": (lambda ctx, a: a @ a[0], 3, Way.PRODUCT),
    "one on the left": (lambda ctx, a: a[0] @ a, 3, Way.SMALL),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_written_out_where_that_is_faster(name: str) -> None:
    """Few multiplications each, of many pairs; or beside what is written out, which saves going to memory."""
    step, n, way = PRODUCTS[name]
    this = case(step, regular((40,), n))
    agree(this, units=10_000)
    ways = this.native.ways
    assert [way] == [ways.way[i] for i, node in enumerate(ways.nodes) if node.op.name.strip("_") == "matmul"]


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize("outer", [2, 5])
def test_rows_within_a_loop_that_is_written_out_lie_where_they_belong(outer: int, n: int) -> None:
    """Matrices and right sides that broadcast: the second turn of the outer axis begins elsewhere."""
    this = case(lambda ctx, a, b: lg.linalg.solve(a, b), regular((outer, 1), n), random_floats((4, n, 1), np.float64))
    agree(this, units=1000)
    all_small(this)


def test_a_plan_explains_its_small_matrices() -> None:
    """By the ops, and how each element is made of those of the matrices."""
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(lambda ctx, a: lg.linalg.qr(a).R * 2, wait=True)
    fast(regular((40,), 2))
    text = fast.plan.explain()
    assert "qr, multiply" in text
    assert "1 leaf, 1 number, 1 lazy, 1 small, 1 several" in text
    assert "%4 = qr(2 × 2 of %0, %1, %2, %3) 1[i1, i2]" in text


@pytest.mark.parametrize("name", DERIVED)
def test_checked_steps_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With LAZYGRAD_CHECK=1 every run is compared with one on NumPy, eigenvectors with their signs too."""
    monkeypatch.setenv("LAZYGRAD_CHECK", "1")
    step, made = OPS[name]
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(lambda ctx, a: (step(ctx, a), loss(step)(ctx, a)), wait=True)
    for seed in range(3):
        fast(made((40,), 3, "float32", seed))
        fast(made((40,), 3, "float64", seed))
