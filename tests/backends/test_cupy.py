"""What CuPy does otherwise than NumPy and the backend mends, on a double of CuPy: each a fault once, on any GPU."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cupy_double import counts

import lazygrad as lg

pytestmark = pytest.mark.usefixtures("double")
BOTH = pytest.mark.parametrize("way", ["run", "compile"])
INTEGERS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def computed(f: Callable[..., Any], *arrays: Any, way: str = "run", backend: str = "cupy") -> Any:
    """``f`` of arrays on a backend, as NumPy's arrays; compiled, it is called twice."""
    env = lg.VariableEnvironment(backend=backend, seed=0, dtype="float64")
    step = env.compile(lambda ctx, *xs: f(*xs)) if way == "compile" else None
    for _ in range(2):
        found = step(*arrays) if step is not None else env.run(lambda ctx, *xs: f(*xs), *arrays)
    if isinstance(found, (tuple, list)):
        return tuple(y.get() if hasattr(y, "get") else y for y in found)
    return found.get() if hasattr(found, "get") else found


def assert_as_numpy(f: Callable[..., Any], *arrays: Any) -> None:
    """Both ways to run give on CuPy what ``run`` gives on NumPy, bit for bit."""
    expected = computed(f, *arrays, backend="numpy")
    for way in ("run", "compile"):
        actual = computed(f, *arrays, way=way)
        assert expected.dtype == actual.dtype
        np.testing.assert_array_equal(actual, expected)


# Places that index arrays name.


@BOTH
@pytest.mark.parametrize("index", [5, -6, 2**40])
@pytest.mark.parametrize(
    "read",
    [
        lambda x, i: x[i],
        lambda x, i: lg.take(x, i),
        lambda x, i: lg.take_along_axis(x, i),
        lambda x, i: x.at[i].set(0.0),
        lambda x, i: x.at[i].add(1.0),
        lambda x, i: x.at[i].multiply(2.0),
        lambda x, i: lg.grad(lg.sum(lg.square(x[i])), [x])[0],
    ],
    ids=["getitem", "take", "take_along_axis", "set", "add", "multiply", "gradient"],
)
def test_an_index_out_of_range_is_an_error_that_names_it(read: Callable[..., Any], index: int, way: str) -> None:
    """CuPy would wrap it around."""
    with pytest.raises(IndexError) as caught:
        computed(read, np.arange(5.0), np.array([0, index]), way=way)
    assert f"index {index} is out of bounds for axis 0 with size 5" == str(caught.value)
    assert 0 == counts["wrapped indices"]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_indices_of_every_dtype_are_held_against_their_axis(dtype: str) -> None:
    """Also where the axis is longer than the dtype counts, and where nothing of it is negative."""
    x, i = np.arange(300.0), np.array([0, 7, 100], dtype)
    assert_as_numpy(lambda x, i: x[i], x, i)
    with pytest.raises(IndexError, match=re.escape("index 100 is out of bounds for axis 0 with size 50")):
        computed(lambda x, i: x[i], x[:50], i)


def test_the_largest_index_without_a_sign_is_not_the_last_element() -> None:
    """As an int64 it would be −1."""
    with pytest.raises(IndexError, match="index 18446744073709551615 is out of bounds"):
        computed(lambda x, i: x[i], np.arange(5.0), np.array([2**64 - 1], np.uint64))


def test_of_several_index_arrays_the_one_that_is_wrong_is_named_with_its_axis() -> None:
    """Slices and new axes before it count as NumPy counts them."""
    x = np.zeros((2, 3, 4))
    with pytest.raises(IndexError, match="index -4 is out of bounds for axis 1 with size 3"):
        computed(lambda x, i, j: x[None, :, i, j], x, np.array([0, -4]), np.array([1, 3]))


@pytest.mark.parametrize("dtype", [*INTEGERS, "float16", "float32", "float64"])
def test_a_place_named_twice_is_added_to_twice_in_every_dtype(dtype: str) -> None:
    """CUDA adds at once only in some of them."""
    x, v = np.array([0, 1, 1, 0]).astype(dtype), np.array([1, 1, 1, 0, 1]).astype(dtype)
    i = np.array([0, 0, -1, 3, 1])
    assert_as_numpy(lambda x, v, i: x.at[i].add(v), x, v, i)


def test_sums_at_places_wrap_around_as_in_numpy() -> None:
    """int8 is added in a wider dtype, int64 without its sign."""
    for dtype in ("int8", "uint16", "int64"):
        most = np.iinfo(dtype).max
        x, v = np.array([most, 5], dtype), np.array([most, 3, most], dtype)
        assert_as_numpy(lambda x, v: x.at[np.array([0, 1, 0])].add(v), x, v)


@pytest.mark.parametrize("backend", ["numpy", "cupy"])
def test_halves_are_added_at_places_in_single_precision(backend: str) -> None:
    """4,096 ones are 4,096, where half precision alone would stay at 2,048."""
    x, i = np.zeros(2, np.float16), np.zeros(4096, np.int64)
    y = computed(lambda x, i: x.at[i].add(1.0), x, i, backend=backend)
    np.testing.assert_array_equal(y, np.float16([4096, 0]))


@pytest.mark.parametrize("dtype", [*INTEGERS, "float16", "float32", "float64"])
def test_of_values_for_one_place_the_last_counts(dtype: str) -> None:
    """CuPy keeps any of them."""
    x, v = np.zeros(4).astype(dtype), np.array([1, 0, 1, 1, 0]).astype(dtype)
    assert_as_numpy(lambda x, v: x.at[np.array([2, 0, 2, 0, 2])].set(v), x, v)


def test_the_last_counts_among_rows_grids_and_broadcast_values() -> None:
    """Whatever the index arrays stand for."""
    x, v = np.zeros((3, 4)), np.arange(12.0).reshape(3, 4) + 1
    assert_as_numpy(lambda x, v: x.at[np.array([1, 1, 2])].set(v), x, v)
    assert_as_numpy(lambda x, v: x.at[:, np.array([3, 0, 3])].set(v[:, :3]), x, v)
    assert_as_numpy(lambda x, v: x.at[np.array([[0], [0]]), np.array([1, 2, -2])].set(v[:2, :3]), x, v)
    assert_as_numpy(lambda x: x.at[np.array([1, 1])].set(7.0), x)
    assert_as_numpy(lambda x: x.at[np.array([], np.int64)].set(7.0), x)


def test_values_that_were_written_over_have_no_gradient() -> None:
    """The gradient is that of the value which stays."""

    def gradient(v: Any) -> Any:
        y = lg.zeros((3,)).at[np.array([0, 1, 0])].set(v)
        return lg.grad(lg.sum(lg.square(y)), [v])[0]

    np.testing.assert_array_equal(computed(gradient, np.array([1.0, 2.0, 3.0])), [0.0, 4.0, 6.0])


# Linear algebra.

SINGULAR, INDEFINITE = np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([[1.0, 2.0], [2.0, 1.0]])
NOT_FINITE = np.array([[np.nan, 0.0], [0.0, 1.0]])


@BOTH
@pytest.mark.parametrize("batch", [(), (3,), (2, 2)], ids=["one", "batch", "grid"])
@pytest.mark.parametrize(
    ("f", "a", "message"),
    [
        (lg.linalg.inv, SINGULAR, "Singular matrix"),
        (lambda a: lg.linalg.solve(a, lg.ones_like(a)), SINGULAR, "Singular matrix"),
        (lambda a: lg.grad(lg.sum(lg.linalg.slogdet(a).logabsdet), [a])[0], SINGULAR, "Singular matrix"),
        (lg.linalg.cholesky, INDEFINITE, "Matrix is not positive definite"),
        (lg.linalg.svd, NOT_FINITE, "SVD did not converge"),
        (lg.linalg.svdvals, NOT_FINITE, "SVD did not converge"),
        (lg.linalg.pinv, NOT_FINITE, "SVD did not converge"),
    ],
    ids=["inv", "solve", "slogdet", "cholesky", "svd", "svdvals", "pinv"],
)
def test_what_cannot_be_decomposed_raises_as_on_numpy(
    f: Callable[..., Any], a: Any, message: str, batch: tuple[int, ...], way: str
) -> None:
    """CuPy gives NaN in silence; one such matrix in a batch is enough."""
    matrices = np.broadcast_to(np.eye(2), (*batch, 2, 2)).copy()
    matrices[(-1,) * len(batch)] = a
    for backend in ("numpy", "cupy"):
        with pytest.raises(np.linalg.LinAlgError, match=message):
            computed(f, matrices, way=way, backend=backend)


@pytest.mark.parametrize("f", [lg.linalg.eigh, lg.linalg.eigvalsh], ids=["eigh", "eigvalsh"])
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one", "batch"])
def test_eigenvalues_that_cannot_be_found_raise(f: Callable[..., Any], batch: tuple[int, ...]) -> None:
    """NumPy's do, save for some small matrices; CuPy's are NaN, in a batch whatever is asked."""
    a = np.broadcast_to(np.where(np.eye(5), np.nan, 1.0), (*batch, 5, 5))
    with pytest.raises(np.linalg.LinAlgError, match="Eigenvalues did not converge"):
        computed(f, a)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_zero_on_the_diagonal_of_a_triangular_system_raises(lower: bool, transposed: bool) -> None:
    """CuPy divides by it. The message names the place as SciPy's does."""
    a = np.broadcast_to(np.eye(3), (2, 3, 3)).copy()
    a[1, 2, 2] = 0
    for matrices in (a, a[1]):
        for backend in ("numpy", "cupy"):
            with pytest.raises(np.linalg.LinAlgError, match="resolution failed at diagonal 2"):
                computed(
                    lambda a: lg.linalg.solve_triangular(a, lg.ones_like(a), lower, transposed),
                    matrices,
                    backend=backend,
                )


def test_a_batch_of_triangular_systems_is_solved_in_one_call(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy takes the whole batch, also where it is shared."""
    import cupyx.scipy.linalg

    calls, solve = [], cupyx.scipy.linalg.solve_triangular
    monkeypatch.setattr(
        cupyx.scipy.linalg, "solve_triangular", lambda a, b, **how: calls.append(a.shape) or solve(a, b, **how)
    )
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 4, 4)) + 4 * np.eye(4), rng.normal(size=(2, 5, 4, 3))
    x = computed(lambda a, b: lg.linalg.solve_triangular(a, b, lower=True), a, b)
    np.testing.assert_allclose(np.tril(a) @ x, b, rtol=1e-12)
    assert [(2, 5, 4, 4)] * 2 == calls
    assert (5, 0, 2) == computed(
        lambda b: lg.linalg.solve_triangular(lg.zeros((5, 0, 0)), b), np.zeros((5, 0, 2))
    ).shape


def test_matrices_of_a_batch_are_factored_one_by_one(double: Any) -> None:
    """CuPy has no batches of them; the derivatives are those of NumPy's factors."""
    a = np.random.default_rng(0).normal(size=(2, 3, 3, 2)) + 2 * np.eye(3, 2)

    def factored(a: Any) -> Any:
        p, lower, upper = lg.linalg.lu(a)
        return p, lower, upper, lg.grad(lg.sum(lower) + lg.sum(lg.square(upper)), a)

    for expected, actual in zip(computed(factored, a, backend="numpy"), computed(factored, a), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13)
    assert (2, 0, 3) == computed(lambda: lg.linalg.lu(lg.zeros((2, 0, 3))).U).shape


# NumPy's functions of arrays that are said with others.

X = np.random.default_rng(1).permutation(12).reshape(3, 4) / 4 + 0.1


@pytest.mark.parametrize(
    "f",
    [
        lambda x: lg.quantile(x, [0.1, 0.5], axis=1),
        lambda x: lg.nanmedian(lg.where(x > 1, np.nan, x)),
        lambda x: lg.unique(x, True, True, True, size=15),
        lambda x: lg.histogram(x, 4)[0],
        lambda x: lg.interp(x, [0.0, 1.0, 2.0], [1.0, 5.0, -2.0]),
        lambda x: lg.grad(lg.sum(lg.square(lg.convolve(x[0], x[1, :2]))), x),
        lambda x: lg.fmod(x, -0.7),
        lambda x: lg.xlogy(x, x),
        lambda x: lg.pad(x, 2, "reflect"),
        lambda x: lg.diag(x[0], 1),
        lambda x: lg.insert(x, 1, 5.0, axis=1),
        lambda x: lg.unwrap(x * 9),
    ],
)
def test_functions_of_arrays_are_numpys_on_a_gpu_too(double: Any, f: Callable[..., Any]) -> None:
    """Run and compiled, to rounding."""
    expected = computed(f, X, backend="numpy")
    for way in ("run", "compile"):
        for want, got in zip(
            *[y if isinstance(y, tuple) else (y,) for y in (expected, computed(f, X, way=way))], strict=True
        ):
            assert want.dtype == got.dtype
            np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)


# Arithmetic.

EDGES = np.array([-np.inf, -7.5, -3.0, -1e-300, -0.0, 0.0, 5e-324, 0.1, 1.0, 6.0, 1e17, np.inf, np.nan])


@pytest.mark.parametrize("f", [lg.remainder, lg.floor_divide], ids=["remainder", "floor_divide"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_division_with_remainder_is_exact(f: Callable[..., Any], dtype: str) -> None:
    """CuPy's ⌊a/b⌋ is of a quotient that was rounded: it makes 1 // 0.1 of float64 10, where NumPy has 9."""
    with np.errstate(all="ignore"):
        a, b = (x.astype(dtype).ravel() for x in np.meshgrid(EDGES, EDGES))
        expected = {lg.remainder: np.remainder, lg.floor_divide: np.floor_divide}[f](a, b)
    actual = computed(f, a, b)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(np.signbit(actual), np.signbit(expected))


def test_the_remainder_of_random_numbers_is_numpys() -> None:
    """Bit for bit."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=1000) * 10.0 ** rng.integers(-3, 9, 1000) for _ in range(2))
    np.testing.assert_array_equal(computed(lg.remainder, a, b), np.remainder(a, b))
    np.testing.assert_array_equal(computed(lg.floor_divide, a, b), np.floor_divide(a, b))


@BOTH
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_a_negative_power_of_whole_numbers_is_an_error(dtype: str, way: str) -> None:
    """There is no whole number that it is; CuPy says 0, 1 or −1."""
    a, b = np.array([2, 1, -1], dtype), np.array([1, 2, -1], dtype)
    with pytest.raises(ValueError, match=re.escape("Integers to negative integer powers are not allowed.")):
        computed(lg.power, a, b, way=way)
    assert_as_numpy(lg.power, a, np.abs(b))


@pytest.mark.parametrize("f", [lg.gammaln, lg.digamma, lambda x: lg.betaln(x, 2.5), lambda x: lg.polygamma(3, x)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_of_the_gamma_function_are_to_be_had(f: Callable[..., Any], dtype: str) -> None:
    """They are of polygamma, whose text in CuPy fails for a number."""
    x = np.array([0.3, 1.0, 2.5, 40.0], dtype)
    first, second = (
        computed(lambda x: lg.grad(lg.sum(lg.square(f(x))), [x])[0], x, backend=backend)
        for backend in ("cupy", "numpy")
    )
    assert np.dtype(dtype) == first.dtype
    np.testing.assert_allclose(first, second, rtol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("number", [2**64, 10**30, -(2**63) - 1, -(10**30)])
def test_numbers_beyond_64_bits_are_compared_as_numpy_compares_them(number: int) -> None:
    """As arrays they would be of objects, which CuPy has not."""
    for x in (np.array([0, 2**63 - 1, -(2**63)]), np.array([0, 2**64 - 1], np.uint64), np.array([-128, 127], np.int8)):
        for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
            compare, numpys = getattr(lg, name), getattr(np, name)
            for way in ("run", "compile"):
                actual = computed(lambda x, f=compare: (f(x, number), f(number, x)), x, way=way)
                np.testing.assert_array_equal(actual, (numpys(x, number), numpys(number, x)))


@BOTH
@pytest.mark.parametrize("dtype", INTEGERS[1:])
@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
def test_a_cast_of_floats_to_whole_numbers_has_one_meaning(source: str, dtype: str, way: str) -> None:
    """Towards zero, to the nearest number of the dtype, and NaN to the least; CuPy makes 0 of NaN."""
    floats = np.array([np.nan, np.inf, -np.inf, 300.75, -5.5, 127.5, 0.0, 6e4, -6e4], source)
    limits = np.iinfo(dtype)

    def whole(x: float) -> int:
        if np.isnan(x):
            return limits.min
        return limits.max if x >= limits.max else limits.min if x <= limits.min else int(x)

    expected = np.array([whole(float(x)) for x in floats], dtype)
    np.testing.assert_array_equal(computed(lambda x: x.astype(dtype), floats, way=way), expected)


def test_whole_numbers_with_and_without_a_sign_are_compared_exactly() -> None:
    """float64 has not the digits."""
    a, b = np.array([2**63 - 1, -1, 5]), np.array([2**63, 2**64 - 1, 5], np.uint64)
    for compare, expected in ((lg.less, [True, True, False]), (lg.equal, [False, False, True])):
        np.testing.assert_array_equal(computed(lambda a, b, f=compare: f(a, b), a, b), expected)
    assert [False, True] == computed(lg.isin, np.array([2**63 - 1, 5]), b).tolist()


# What lies where, and is sent.


def test_the_constants_of_a_step_are_sent_once(double: Any) -> None:
    """Not at every run: numbers, arrays, and what is made by rule."""
    table = np.arange(12.0).reshape(3, 4)
    env = lg.VariableEnvironment(backend="cupy", dtype="float64")
    x = double.asarray(np.ones(4))

    def step(ctx: Any, x: Any) -> Any:
        return 2.5 * (ctx.constant(table) @ x) + lg.arange(3) + lg.full((3,), 7.0)

    compiled = env.compile(step)
    for run in (lambda: env.run(step, x), lambda: compiled(x)):
        for _ in range(3):
            run()
        before = counts["to the device"]
        for _ in range(3):
            found = run()
        assert 0 == counts["to the device"] - before
        np.testing.assert_array_equal(found.get(), 2.5 * table.sum(axis=1) + np.arange(3) + 7)
    table[:] = 0
    np.testing.assert_array_equal(env.run(step, x).get(), np.arange(3) + 7)


def test_names_of_functions_are_looked_up_once() -> None:
    """A kernel that runs again finds them at once."""
    xp = lg.VariableEnvironment(backend="cupy")._store.backend.xp
    assert xp.exp is xp.exp
    assert {"exp"} <= vars(xp).keys()
    assert xp.erf is xp.erf
    assert xp.linalg.cholesky is xp.linalg.cholesky


def test_the_source_of_a_step_says_that_it_is_interpreted() -> None:
    """There is no program of CuPy calls, and none is shown."""
    env = lg.VariableEnvironment(backend="cupy")
    fast = env.compile(lambda ctx, x: lg.exp(x) + 1)
    fast(np.ones(3, np.float32))
    first, *rest = fast.source().splitlines()
    assert "# on cupy: interpreted one by one" == first
    assert str(fast.plan.graph).splitlines() == rest
    assert "define ptx_kernel void" in fast.source("llvm")


def test_training_on_the_gpu_writes_checkpoints_and_gives_the_best_variables_back(tmp_path: Any) -> None:
    """They hold NumPy's arrays, whatever lies on the GPU, and training goes on from them."""

    def train(epochs: int) -> Any:
        env = lg.VariableEnvironment(backend="cupy", seed=0)
        env.name("w").set(np.ones(3, np.float32))
        sgd = lg.optim.SGD(env, learning_rate=0.1)

        def step(ctx: Any, x: Any) -> Any:
            loss = lg.mean(lg.square(x - ctx.variable("w")))
            return loss, sgd.minimize(loss)

        callbacks = [lg.BestWeights(), lg.EarlyStopping(patience=3)]
        x = np.arange(12, dtype=np.float32).reshape(4, 3)
        history = lg.fit(
            step, x, epochs=epochs, batch_size=2, callbacks=callbacks, env=env, checkpoint=tmp_path / "c.json"
        )
        return env["w"].get(), history

    train(2)
    w, history = train(4)
    assert 4 == history.epochs
    (tmp_path / "c.json").unlink()
    np.testing.assert_array_equal(w, train(4)[0])


def test_an_estimator_of_scikit_learn_that_was_fitted_on_the_gpu_is_pickled_without_it() -> None:
    """Its parameters are NumPy's arrays."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from lazygrad.sklearn import Regressor

    x = np.linspace(0, 1, 20).reshape(-1, 1)
    model = Regressor(epochs=2, backend="cupy", random_state=0).fit(x, x.ravel())
    assert {np.ndarray} == {type(array) for array in model.parameters_.values()}
    np.testing.assert_array_equal(model.predict(x), pickle.loads(pickle.dumps(model)).predict(x))


# Whole numbers.


@pytest.mark.parametrize("compare", [lg.equal, lg.not_equal, lg.less, lg.less_equal, lg.greater, lg.greater_equal])
@pytest.mark.parametrize("signed", ["int64", "int32"])
def test_numbers_with_and_without_a_sign_are_compared_exactly(compare: Callable[..., Any], signed: str) -> None:
    """CuPy would make float64 of both, in which 2⁶³ − 1 is 2⁶³."""
    ends = np.iinfo(signed)
    a = np.array([ends.max, ends.max, ends.min, -1, 0, 5], signed)
    b = np.array([2**63, ends.max, 2**63, 2**64 - 1, 0, 4], np.uint64)
    assert_as_numpy(compare, a, b)
    assert_as_numpy(compare, b, a)


@pytest.mark.parametrize("dtype", INTEGERS[1:])
@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
def test_a_float_is_cast_to_a_whole_number_as_on_numpy(source: str, dtype: str) -> None:
    """What is out of range becomes the end of it, and NaN the least number."""
    ends = [float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)]
    some = [np.nan, np.inf, -np.inf, 0.5, -0.5, -1.0, 255.5, 6e4, *ends, *(2 * e for e in ends)]
    with np.errstate(over="ignore"):
        assert_as_numpy(lambda x: x.astype(dtype), np.array(some).astype(source))
