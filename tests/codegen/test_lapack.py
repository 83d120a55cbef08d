"""Linear algebra in native code: calls of LAPACK on whatever lies in memory, beside what NumPy gives."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, script

import lazygrad as lg
from lazygrad.engine.cpu import addresses as found
from lazygrad.engine.cpu.addresses import addresses
from lazygrad.engine.cpu.llvm import machine
from lazygrad.engine.emit.lapack import FUNCTIONS as FUNCTIONS_OF_LAPACK
from lazygrad.engine.emit.lapack import PREFIX
from lazygrad.engine.lanes.target import cpu
from lazygrad.ops.decompositions import _cholesky_cotangent, _cholesky_inverse

la = lg.linalg

# Two libraries round apart; but in float32 NumPy and native code round what most functions compute in float64.
ROUNDED = {"float32": 4, "float64": 400}
IN_FLOAT32 = ("triangles", "factored")  # in the names of those that do not

pytest.importorskip("llvmlite", reason="llvmlite is not installed")
pytestmark = pytest.mark.skipif(not addresses(), reason="SciPy is not installed: there is no LAPACK to call")


def regular(rng: np.random.Generator, shape: Any) -> Any:
    """Matrices far from singular ones, whose eigenvalues and singular values are apart."""
    size = max(shape[-2:])
    near = 0.3 * rng.uniform(-1, 1, (*shape[:-2], *shape[-2:])) / np.sqrt(size)
    return near + np.eye(*shape[-2:]) * np.linspace(1, 2, shape[-1])


def positive(rng: np.random.Generator, shape: Any) -> Any:
    """Positive definite ones; what lies above the diagonal is not looked at."""
    a = regular(rng, shape)
    return np.tril(a @ np.swapaxes(a, -1, -2)) + np.triu(np.full(shape, np.nan), 1)


def lower(rng: np.random.Generator, shape: Any) -> Any:
    """Lower triangular ones."""
    return np.tril(regular(rng, shape))


def tall(rng: np.random.Generator, shape: Any) -> Any:
    """Three rows more."""
    return regular(rng, (*shape[:-2], shape[-2] + 3, shape[-1]))


def _sides(a: Any, columns: int) -> Any:
    return lg.reshape(lg.arange(a.shape[-1] * columns, dtype=a.dtype), (a.shape[-1], columns)) / 7 - 1


def _solve(a: Any, columns: int) -> Any:
    return la.solve(a, lg.broadcast_to(_sides(a, columns), (*a.shape[:-1], columns)))


def _triangular(a: Any, columns: int, below: bool, transposed: bool) -> Any:
    sides = lg.broadcast_to(_sides(a, columns), (*a.shape[:-1], columns))
    return la.solve_triangular(a, sides, below, transposed)


Maker = Callable[[np.random.Generator, Any], Any]
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Maker]] = {
    "cholesky": (la.cholesky, positive),
    "upper cholesky": (lambda a: la.cholesky(a.mT, upper=True), positive),
    "inverse of a factored matrix": (_cholesky_inverse, lower),
    "cotangent of a factored matrix": (lambda a: _cholesky_cotangent(a, a * a + 1), lower),
    "inv": (la.inv, regular),
    "det": (la.det, regular),
    "slogdet": (la.slogdet, regular),
    "solve": (lambda a: _solve(a, 5), regular),
    "solve a vector": (lambda a: _solve(a, 1), regular),
    "qr": (la.qr, tall),
    "qr of squares": (la.qr, regular),
    "complete qr": (lambda a: la.qr(a, mode="complete"), tall),
    "eigh": (la.eigh, positive),
    "eigvalsh": (la.eigvalsh, positive),
    "svd": (lambda a: la.svd(a, full_matrices=False), tall),
    "svd of wide ones": (lambda a: la.svd(a.mT, full_matrices=False), tall),
    "full svd": (la.svd, tall),
    "svdvals": (la.svdvals, tall),
}
for below in (False, True):
    for transposed in (False, True):
        for columns in (1, 4):
            name = f"{columns} sides of {'lower' if below else 'upper'} triangles{', transposed' * transposed}"
            FUNCTIONS[name] = (
                functools.partial(_triangular, columns=columns, below=below, transposed=transposed),
                regular,
            )


def native(f: Any, *arrays: Any, width: int | None = None, units: float | None = None) -> Any:
    """The native code of a function; it agrees with NumPy, and nothing is called back."""
    this = case(lambda ctx, *xs: f(*xs), *arrays, target=cpu(width or machine().width, lapack=True))
    agree(this, ROUNDED[arrays[0].dtype.name] if units is None else units)
    assert this.calls == []
    return this


@pytest.mark.thinned(4)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 9, 9), (2, 3, 16, 16), (33, 33), (2, 70, 70), (200, 200)], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_what_numpy_gives(name: str, shape: Any, dtype: str) -> None:
    """With the same signs and orders; for one matrix and for batches, smaller and larger than a block."""
    f, make = FUNCTIONS[name]
    units = ROUNDED["float64" if any(word in name for word in IN_FLOAT32) else dtype]
    native(f, make(np.random.default_rng(0), shape).astype(dtype), units=units)


@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("n", [3, 8, 21])
def test_lanes_of_any_number_move_matrices(n: int, width: int) -> None:
    """What is left over at the end of a row too."""
    a = positive(np.random.default_rng(0), (2, n, n))
    native(lambda a: (la.cholesky(a), la.eigh(a)), a, width=width)
    native(lambda a: (la.qr(a), la.inv(a)), tall(np.random.default_rng(0), (2, n, n))[:, 3:], width=width)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda a: a.mT,
    "every other": lambda a: a[..., ::2, ::2],
    "backwards": lambda a: a[..., ::-1, ::-1],
    "part": lambda a: a[..., 1:7, 1:7],
    "batch swapped": lambda a: lg.swapaxes(a, 0, 1),
    "one for all": lambda a: lg.broadcast_to(a[0], a.shape),
    "batch last": lambda a: lg.moveaxis(lg.moveaxis(a, 0, -1) * 1, -1, 0),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("name", ["cholesky", "solve", "solve a vector", "4 sides of lower triangles", "svdvals"])
def test_what_lies_in_another_order_is_taken_as_it_lies(name: str, view: Any) -> None:
    """Rows that do not touch, columns that do, and a matrix that stands for all of a batch."""
    f, _ = FUNCTIONS[name]
    a = np.broadcast_to(regular(np.random.default_rng(0), (13, 13)), (3, 2, 13, 13)).copy()
    a += np.swapaxes(a, -1, -2)
    native(lambda a: f(view(a)), a)


def test_a_triangle_in_place_is_not_copied() -> None:
    """Nor is its transpose: the scratch memory holds nothing."""
    a = lower(np.random.default_rng(0), (40, 40))
    for view in (lambda a: a, lambda a: a.mT):
        for columns in (1, 3):
            this = native(lambda a, v=view, c=columns: _triangular(v(a), c, True, False), a)
            scratch = [b for key, b in this.native.buffers.items() if isinstance(key, tuple) and key[0] == "scratch"]
            assert [b.spec.nbytes for b in scratch] == [0]


def test_one_of_several_results_is_enough() -> None:
    """What nobody reads has no array."""
    a = tall(np.random.default_rng(0), (2, 9, 9))
    native(lambda a: (la.qr(a).R, la.svd(a, full_matrices=False).U, la.slogdet(a[:, :9]).logabsdet), a)


def test_results_are_computed_where_they_are_wanted() -> None:
    """In arrays that are returned, and in the new arrays of variables."""

    def step(ctx: lg.Context, a: Any) -> Any:
        q, r = la.qr(a)
        factor = la.cholesky(a @ a.mT)
        return q, ctx.assign(ctx.variable("r"), r), ctx.assign(ctx.variable("factor"), factor), factor

    a = regular(np.random.default_rng(0), (40, 40))
    this = case(step, a, target=cpu(machine().width, lapack=True), r=np.zeros((40, 40)), factor=np.zeros((40, 40)))
    agree(this, ROUNDED["float64"])
    assert this.calls == []


def likelihood(a: Any) -> Any:
    """Whose gradient reads a factor, its inverse, and vectors."""
    factor = la.cholesky(a @ a.mT)
    half = la.solve_triangular(factor, a[..., :1], lower=True)
    return lg.grad(lg.sum(half**2) + lg.sum(lg.log(la.diagonal(factor))), [a])[0]


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "likelihood": likelihood,
    "cholesky": lambda a: lg.grad(lg.sum(lg.sin(la.cholesky(a @ a.mT))), [a])[0],
    "solve": lambda a: lg.grad(lg.sum(lg.sin(_solve(a, 3))), [a])[0],
    "inv": lambda a: lg.grad(lg.sum(lg.sin(la.inv(a))), [a])[0],
    "slogdet": lambda a: lg.grad(lg.sum(la.slogdet(a).logabsdet), [a])[0],
    "qr": lambda a: lg.grad(lg.sum(lg.sin(la.qr(a).R)), [a])[0],
    "eigh": lambda a: lg.grad(lg.sum(la.eigh(a + a.mT).eigenvectors[..., 0] ** 4), [a])[0],
    "svd": lambda a: lg.grad(lg.sum(lg.sin(la.svdvals(a))), [a])[0],
}


@pytest.mark.parametrize("shape", [(9, 9), (2, 30, 30)], ids=str)
@pytest.mark.parametrize("f", GRADIENTS.values(), ids=GRADIENTS)
def test_gradients_are_native_too(f: Any, shape: Any) -> None:
    """Whatever they need of linear algebra."""
    native(f, regular(np.random.default_rng(0), shape), units=20_000)


def test_a_loop_decomposes_in_every_turn() -> None:
    """Within a repeat, in its derivative too; and an error names the turn."""

    def step(ctx: lg.Context, a: Any, shifts: Any) -> Any:
        def body(total: Any, shift: Any) -> Any:
            factor = la.cholesky(a @ a.mT + shift * lg.eye(12, dtype="float64"))
            return la.solve_triangular(factor, total, lower=True), la.qr(factor).R[0, 0]

        total, found = lg.scan(body, a[:, :2], shifts)
        loss = lg.sum(total**2) + lg.sum(found)
        return loss, lg.grad(loss, [a])[0]

    a, shifts = regular(np.random.default_rng(0), (12, 12)), np.linspace(1, 2, 5)
    env = lg.VariableEnvironment(dtype="float64")
    compiled = env.compile(step, wait=True)
    for native, reference in zip(compiled(a, shifts), env.run(step, a, shifts), strict=True):
        np.testing.assert_allclose(native, reference, rtol=1e-11, atol=1e-11)
    assert "0 calls back to NumPy" in compiled.plan.explain()
    with pytest.raises(np.linalg.LinAlgError, match="Matrix is not positive definite") as raised:
        compiled(a, np.where(np.arange(5) == 3, -9.0, shifts))
    assert any(note.startswith("in turn 3 of the scan") for note in raised.value.__notes__)


def test_many_chunks_have_little_scratch_memory() -> None:
    """Of large matrices fewer are decomposed at once; a chunk for each would take 30 MB."""
    a = np.broadcast_to(np.eye(200), (64, 200, 200))
    this = case(lambda ctx, a: la.qr(a), a, target=cpu(machine().width, lapack=True))
    assert 8 <= this.chunks < 64
    assert this.native.nbytes < 2**24 + 2**16


# Failures.

SINGULAR, INDEFINITE = np.ones((12, 12)), np.diag(np.linspace(1, -1, 12))
FAILING = {
    "cholesky": (la.cholesky, INDEFINITE, "Matrix is not positive definite"),
    "inv": (la.inv, SINGULAR, "Singular matrix"),
    "solve": (lambda a: _solve(a, 2), SINGULAR, "Singular matrix"),
    "solve_triangular": (
        lambda a: _triangular(a, 1, True, False),
        np.diag([*[1.0] * 11, 0.0]),
        "singular matrix: resolution failed at diagonal 11",
    ),
    "svd": (la.svdvals, np.full((12, 12), np.nan), "SVD did not converge"),
}


@pytest.mark.parametrize(("f", "bad", "words"), FAILING.values(), ids=FAILING)
def test_a_failure_names_the_matrix_and_changes_nothing(f: Any, bad: Any, words: str) -> None:
    """As on NumPy: the place in the batch, the line, and the environment as it was."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.zeros(3))

    def step(ctx: lg.Context, a: Any) -> Any:
        w = ctx.variable("w")
        return ctx.assign(w, w + 1), f(a)

    compiled = env.compile(step, wait=True)
    good = np.broadcast_to(np.eye(12), (2, 5, 12, 12)).copy()
    compiled(good)
    assert compiled.is_native
    wrong = good.copy()
    wrong[1, 3] = wrong[1, 4] = bad
    with pytest.raises(np.linalg.LinAlgError) as raised:
        compiled(wrong)
    assert str(raised.value) == f"{words}: the matrix at [1, 3] of the batch [2, 5]"
    assert raised.value.__notes__[0].startswith("while evaluating ")
    np.testing.assert_array_equal(env["w"], np.ones(3))
    compiled(good)
    np.testing.assert_array_equal(env["w"], np.full(3, 2.0))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize("f", [la.inv, la.det, la.slogdet, la.qr, lambda a: _solve(a, 1)])
def test_what_becomes_of_nan_and_infinities_numpy_says(f: Any, odd: float) -> None:
    """Native code computes nothing of them, and leaves the step to NumPy."""
    env = lg.VariableEnvironment(dtype="float64")
    compiled = env.compile(lambda ctx, a: f(a), wait=True)
    a = regular(np.random.default_rng(0), (3, 9, 9))
    compiled(a)
    a[1, 2, 3] = odd

    def result(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except np.linalg.LinAlgError as error:
            return str(error)

    np.testing.assert_equal(result(lambda: compiled(a)), result(lambda: env.run(lambda ctx, a: f(a), a)))


def test_a_singular_matrix_has_a_determinant() -> None:
    """It is 0, with the sign 0 and the logarithm −∞, and no failure."""
    a = np.stack([SINGULAR, np.eye(12), -np.eye(12)[::-1]])
    native(lambda a: (la.det(a), *la.slogdet(a)), a, units=4)


# Threads, and what is called.

PROGRAM = """
import hashlib
import numpy as np
import lazygrad as lg
from lazygrad.engine.table.native import Instruction

rng = np.random.default_rng(0)
a = rng.standard_normal((100, 40, 40)) + 9 * np.eye(40)
step = lg.VariableEnvironment(dtype="float64").compile(
    lambda ctx, a: (lg.linalg.inv(a), lg.linalg.cholesky(a @ a.mT), *lg.linalg.eigh(a)), wait=True
)
values = step(a)
assert step.is_native
print(max(int(line.split("float64[100, 40, 40]")[1].split()[0]) for line in step.plan.explain().splitlines()
          if "LAPACK: inv" in line), hashlib.sha256(b"".join(v.tobytes() for v in values)).hexdigest())
"""


def test_threads_share_a_batch_and_change_no_bit() -> None:
    """As long as LAPACK's own threads are as many."""
    one, two = (script(PROGRAM, LAZYGRAD_THREADS=n, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1") for n in "12")
    assert one == two
    assert int(one.split()[0]) > 1


def test_without_lapack_numpy_is_called_back() -> None:
    """As before, and so are several results."""
    a = regular(np.random.default_rng(0), (9, 9))
    this = case(lambda ctx, a: (la.inv(a), la.qr(a)), a)
    agree(this)
    assert this.calls == ["inv", "qr", "item", "item"]


LIGHT = """
import sys
import numpy as np
import lazygrad as lg

def loaded():
    return any(name.partition(".")[0] == "scipy" for name in sys.modules)

env = lg.VariableEnvironment(dtype="float64")
a = np.eye(12)
env.compile(lambda ctx, a: a @ a + 1, wait=True)(a)
env.run(lambda ctx, a: lg.linalg.cholesky(a), a)
print(loaded())
env.compile(lambda ctx, a: lg.linalg.cholesky(a), wait=True)(a)
print(loaded())
"""


def test_scipy_is_imported_for_native_linear_algebra_alone() -> None:
    """What decomposes nothing, or runs on NumPy, does without."""
    assert script(LIGHT).split() == ["False", "True"]


def test_only_functions_of_the_expected_type_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SciPy whose LAPACK takes other integers, or that lacks a function, is not used."""
    assert all(name.startswith(PREFIX) and address for name, address in addresses().items())
    plain = addresses.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr(found, "signature", lambda name, letter: r"void \(long \*\)")
        assert plain() == {}
    with monkeypatch.context() as patch:
        patch.setitem(FUNCTIONS_OF_LAPACK, "no_such_function", "i")
        assert plain() == {}
    with monkeypatch.context() as patch:
        patch.setattr(platform, "python_implementation", lambda: "another")
        assert plain() == {}


def test_a_plan_says_what_is_called() -> None:
    """By name, beside its kernels."""
    step = lg.VariableEnvironment(dtype="float64").compile(lambda ctx, a: la.cholesky(a), wait=True)
    step(np.eye(12))
    assert "LAPACK: cholesky" in step.plan.explain()
    assert "0 calls back to NumPy" in step.plan.explain()
    assert f"call void @{PREFIX}dpotrf(" in step.source("llvm")
