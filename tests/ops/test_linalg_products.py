"""Products: matmul, einsum and their kin beside NumPy's over grids of shapes, refusals, derivatives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from snapshots import at

import lazygrad as lg
from lazygrad.testing import check_gradient

SHAPES = [
    (),
    (1,),
    (3,),
    (0,),
    (3, 3),
    (1, 3),
    (3, 1),
    (2, 3),
    (3, 2),
    (0, 3),
    (3, 0),
    (2, 3, 3),
    (1, 3, 2),
    (4, 1, 3, 2),
]
DTYPES = ["float64", "float32", "int64", "int32", "bool"]
SIZES = {"i": 2, "j": 3, "k": 4, "l": 1, "m": 2, "b": 2}


def sample(shape, dtype="float64", seed=0):
    """Numbers without structure; of whole numbers small ones."""
    return (3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def value(f, *arrays):
    """What ``f`` computes of the arrays."""
    return lg.VariableEnvironment(dtype="float64").run(lambda ctx, *xs: f(*xs), *arrays)


def agree(f, reference, *arrays, roundings=100):
    """NumPy's value and dtype, run and compiled, once and again; or a refusal where NumPy refuses.

    Not bit for bit: a program lays arrays out in other ways than NumPy, and BLAS sums in an order that depends on it.
    """
    try:
        expected = np.asarray(reference(*arrays))
    except (ValueError, TypeError, IndexError, RuntimeError):
        with pytest.raises(lg.SpecError):
            value(f, *arrays)
        return
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx, *xs):
        return f(*xs)

    compiled = env.compile(step)
    eps = np.finfo(expected.dtype).eps if expected.dtype.kind == "f" else 0
    size = np.max(np.abs(expected), initial=0) if eps else 0
    for actual in (env.run(step, *arrays), env.run(step, *arrays), compiled(*arrays), compiled(*arrays)):
        assert (expected.shape, expected.dtype) == (actual.shape, actual.dtype)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=roundings * eps * size)


PRODUCTS = {
    "matmul": (lg.matmul, np.matmul),
    "operator": (lambda a, b: a @ b, np.matmul),
    "dot": (lg.dot, np.dot),
    "inner": (lg.inner, np.inner),
    "outer": (lg.outer, np.outer),
    "kron": (lg.kron, np.kron),
    "tensordot 0": (lambda a, b: lg.tensordot(a, b, axes=0), lambda a, b: np.tensordot(a, b, axes=0)),
    "tensordot 1": (lambda a, b: lg.tensordot(a, b, axes=1), lambda a, b: np.tensordot(a, b, axes=1)),
    "tensordot 2": (lg.tensordot, np.tensordot),
    "tensordot -1 0": (
        lambda a, b: lg.tensordot(a, b, axes=(-1, 0)),
        lambda a, b: np.tensordot(a, b, axes=(-1, 0)),
    ),
    "tensordot 01 10": (
        lambda a, b: lg.tensordot(a, b, axes=([0, 1], [1, 0])),
        lambda a, b: np.tensordot(a, b, axes=([0, 1], [1, 0])),
    ),
}


@pytest.mark.thinned(4)
@pytest.mark.parametrize("left", SHAPES, ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_of_any_two_shapes_is_numpys(name, left):
    """Numbers, vectors, matrices, batches, empty ones; or a refusal where NumPy refuses."""
    for right in SHAPES:
        agree(*PRODUCTS[name], sample(left), sample(right, seed=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_has_numpys_dtype(name, dtype):
    """Whole numbers stay whole, of the same width."""
    for shape in [(3, 3), (3,)]:
        agree(*PRODUCTS[name], sample(shape, dtype), sample((3, 3), dtype, 1))


@pytest.mark.parametrize(
    ("left", "right", "axis"),
    [
        ((3,), (3,), -1),
        ((2, 3), (3,), -1),
        ((2, 3), (5, 1, 3), -1),
        ((3, 2), (3, 2), 0),
        ((3, 2), (3, 1), 0),
        ((2, 3, 4), (2, 3, 4), 1),
        ((2, 3, 4), (3, 4), -2),
        ((0, 3), (3,), -1),
        ((2, 3), (1,), -1),
        ((2, 3), (2, 1), -1),
        ((2, 3), (4, 3), -1),
        ((), (3,), -1),
    ],
    ids=str,
)
def test_vecdot_and_cross_are_numpys(left, right, axis):
    """The axis has one size in both; the others broadcast; or a refusal where NumPy refuses."""
    arrays = sample(left), sample(right, seed=1)
    agree(lambda a, b: lg.vecdot(a, b, axis=axis), lambda a, b: np.vecdot(a, b, axis=axis), *arrays)
    agree(lambda a, b: lg.cross(a, b, axis=axis), lambda a, b: np.linalg.cross(a, b, axis=axis), *arrays)


@pytest.mark.parametrize("dtype", DTYPES)
def test_vecdot_has_numpys_dtype(dtype):
    """A sum of whole numbers would be wider."""
    agree(lg.vecdot, np.vecdot, sample((2, 3), dtype), sample(3, dtype, 1))


@pytest.mark.parametrize("offset", [-4, -1, 0, 1, 2, 4])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (0, 3), (3, 0), (2, 3, 4), (0, 2, 2), (3,)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "int32", "bool"])
def test_diagonal_and_trace_are_numpys(shape, offset, dtype):
    """Of the last two axes; a diagonal beyond the matrix is empty."""
    x = sample(shape, dtype)
    agree(lambda a: lg.diagonal(a, offset=offset), lambda a: np.linalg.diagonal(a, offset=offset), x)
    agree(lambda a: lg.linalg.trace(a, offset=offset), lambda a: np.linalg.trace(a, offset=offset), x)


# Einstein's notation.

EINSUMS = [
    "i->i", "ii->i", "ii->", "ij->ji", "ij", "ji", "ij->", "ii", "ijj->i", "iijj->ij", "iii->i", "ijij->ij",
    "ijji->ij", "ijij->", "ij,jk", "ij,jk->ik", "ij,kj->ik", "ij,ij->", "ij,ij->ij", "i,j->ij", "i,i->", "i,i->i",
    "ij,j->i", "ijk,ikl->ijl", "ij,jk,kl->il", "i,ij,j->", "ij,jk,ki->", "ij,jk,ij->ik", "ii,i->i", "ii,jj->ij",
    "ij,,k->jk", ",->", ",i->i", "mb", "b,m", "ijk->kij", "kij,j->", "im,im->i", "iB,Bi->", "ijk,jl->",
    "bij,bjk->bik", "->",
]  # fmt: skip
DOTTED = [
    "...ij->...ji", "...ij,...jk->...ik", "...ij,jk->...ik", "...,...->...", "...i,...i", "i...->...i", "i...->...",
    "i...j->j...i", "...ii->...i", "...ij", "i...,j...->ij...", "...i,i...->...", "i...i->...", "...i->i...",
    "...,i->...i", "i,...",
]  # fmt: skip


@pytest.mark.parametrize("text", EINSUMS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_einsum_is_numpys(text, dtype):
    """One operand and several, repeated letters, no arrow, axes of size 1 that broadcast, dtypes."""
    rng = np.random.default_rng(0)
    for ones in (0.0, 0.3, 0.6):
        shapes = [
            tuple(1 if rng.random() < ones else SIZES.get(c, 3) for c in letters)
            for letters in text.split("->")[0].split(",")
        ]
        arrays = [sample(shape, dtype, i) for i, shape in enumerate(shapes)]
        agree(lambda *xs: lg.einsum(text, *xs), lambda *xs: np.einsum(text, *xs), *arrays)


@pytest.mark.parametrize("text", DOTTED)
def test_einsum_with_dots_is_numpys(text):
    """Any number of axes in place of the dots, broadcast."""
    parts = text.split("->")[0].split(",")
    for middles in itertools.product([(), (5,), (1,), (2, 5), (0,)], repeat=len(parts)):
        arrays = []
        for i, (part, middle) in enumerate(zip(parts, middles, strict=True)):
            before, dots, after = part.partition("...")
            shape = (*(SIZES[c] for c in before), *(middle if dots else ()), *(SIZES[c] for c in after))
            arrays.append(sample(shape, seed=i))
        agree(lambda *xs: lg.einsum(text, *xs), lambda *xs: np.einsum(text, *xs), *arrays)


@pytest.mark.parametrize(
    ("text", "shapes", "reason"),
    [
        ("ij->ijk", [(2, 3)], "The result names a letter twice, or one that no operand has."),
        ("i->ii", [(2,)], "The result names a letter twice, or one that no operand has."),
        ("ij", [(2,)], "'ij' does not name the 1 axes of float64[2]."),
        ("i", [(2, 3)], "'i' does not name the 2 axes of float64[2, 3]."),
        ("i,j", [(2,)], "2 operands are named, 1 given."),
        ("ij,jk->ik", [(2, 3), (4, 5)], "Letter 'j' has sizes 3 and 4."),
        (
            "ii->i",
            [(2, 3)],
            "Letter 'i' stands twice in one operand, for axes of 2 and 3: a diagonal needs equal sizes.",
        ),
        (
            "ii->i",
            [(1, 3)],
            "Letter 'i' stands twice in one operand, for axes of 1 and 3: a diagonal needs equal sizes.",
        ),
        ("...ij->ij", [(5, 2, 3)], "'...' stands for 1 axes; the result must say with '...' where they go."),
        ("...i...", [(2, 3)], "'...i...' does not name the 2 axes of float64[2, 3]."),
        ("i.j->ij", [(2, 3)], "'i.j' does not name the 2 axes of float64[2, 3]."),
        ("i1->i", [(2, 3)], "'i1' does not name the 2 axes of float64[2, 3]."),
        ("Αi->i", [(2, 3)], "'Αi' does not name the 2 axes of float64[2, 3]."),
    ],
)
def test_subscripts_that_do_not_fit_are_refused(text, shapes, reason):
    """The message in full."""

    def step(ctx, *xs):
        return lg.einsum(text, *xs)

    arrays = [np.zeros(shape) for shape in shapes]
    with pytest.raises(lg.SpecError) as raised:
        lg.VariableEnvironment(dtype="float64").run(step, *arrays)
    specs = " and ".join(f"float64{list(shape)}" for shape in shapes)
    assert f"cannot einsum {text!r} of {specs}\n\n{at(step, 'lg.einsum')}\n\n    {reason}" == str(raised.value)


def test_batches_that_do_not_fit_are_refused():
    """The message in full: it speaks of the axes that do not fit, and not of the last ones."""

    def step(ctx, a, b):
        return a @ b

    with pytest.raises(lg.SpecError) as raised:
        lg.VariableEnvironment(dtype="float64").run(step, np.zeros((2, 3, 3)), np.zeros((4, 3, 3)))
    assert str(raised.value) == (
        "cannot matmul float64[2, 3, 3] and float64[4, 3, 3]\n\n"
        f"{at(step, 'a @ b')}\n\n"
        "    a:  float64[2, 3, 3]   placeholder 'a'\n"
        "    b:  float64[4, 3, 3]   placeholder 'b'\n"
        "    The axes before the last two are [2] and [4], which do not broadcast: counted from the end, "
        "sizes must be equal, or one of them 1."
    )


# Derivatives.

PAIRS = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((3,), (2, 3, 4)),
    ((2, 2, 3), (3,)),
    ((2, 2, 3), (3, 4)),
    ((2, 3), (2, 3, 4)),
    ((1, 2, 3), (4, 3, 2)),
    ((4, 1, 2, 3), (1, 2, 3, 1)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
]


@pytest.mark.parametrize(("left", "right"), PAIRS, ids=str)
def test_derivatives_of_matmul(left, right):
    """Of all ranks, where either has axes that the other has not."""
    check_gradient(lg.matmul, sample(left), sample(right, seed=1))


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
def test_derivatives_of_a_product_of_transposed_matrices(left, right, batch):
    """The Rust crate forgets its own transpose flags in the gradient."""

    def product(a, b):
        return (a.mT if left else a) @ (b.mT if right else b)

    a, b = (3, 2) if left else (2, 3), (4, 3) if right else (3, 4)
    check_gradient(product, sample(batch + a), sample(batch + b, seed=1))


def test_the_hessian_of_the_squared_norm_of_a_product():
    """‖AB‖²: for A it is 2·I⊗BBᵀ, and for A and B mixed 2(ΔA B + A ΔB) pairs; all parts at once."""
    a, b = sample((2, 3)), sample((3, 2), seed=1)

    def step(ctx, a, b):
        y = lg.sum(lg.square(a @ b))
        ga, gb = lg.grad(y, [a, b])
        return lg.hessian(y, a), lg.hessian(y, b), lg.jacobian(ga, b), lg.jacobian(gb, a)

    aa, bb, ab, ba = lg.VariableEnvironment(dtype="float64").run(step, a, b)
    # With C = AB: ∂C_pq/∂A_ij = δ_pi B_jq and ∂C_pq/∂B_kl = A_pk δ_lq.
    c, one = a @ b, np.eye(2)
    slope_a = np.einsum("pi,jq->pqij", one, b)
    slope_b = np.einsum("pk,lq->pqkl", a, one)
    np.testing.assert_allclose(aa, 2 * np.einsum("pqij,pqkl->ijkl", slope_a, slope_a))
    np.testing.assert_allclose(bb, 2 * np.einsum("pqij,pqkl->ijkl", slope_b, slope_b))
    mixed = np.einsum("pqij,pqkl->ijkl", slope_a, slope_b) + np.einsum("il,jk->ijkl", c, np.eye(3))
    np.testing.assert_allclose(ab, 2 * mixed)
    np.testing.assert_allclose(ba, 2 * mixed.transpose(2, 3, 0, 1))


SMOOTH = [
    (lg.dot, [(2, 3), (4, 3, 2)]),
    (lg.dot, [(), (3,)]),
    (lg.inner, [(2, 3), (4, 3)]),
    (lg.outer, [(2, 2), (3,)]),
    (lg.kron, [(2, 3), (3, 2)]),
    (lg.kron, [(2,), (3, 1, 2)]),
    (lg.cross, [(3,), (2, 3)]),
    (lambda a, b: lg.cross(a, b, axis=0), [(3, 2), (3, 1)]),
    (lg.vecdot, [(2, 1, 3), (4, 3)]),
    (lambda a, b: lg.vecdot(a, b, axis=0), [(3, 2), (3, 1)]),
    (lg.tensordot, [(2, 3, 4), (3, 4, 2)]),
    (lambda a, b: lg.tensordot(a, b, axes=([0, 2], [1, 0])), [(2, 3, 4), (4, 2)]),
    (lambda a: lg.diagonal(a, offset=1), [(2, 3, 4)]),
    (lambda a: lg.diagonal(a, offset=-2), [(4, 3)]),
    (lambda a: lg.diagonal(a, offset=5), [(3, 3)]),
    (lg.linalg.trace, [(2, 3, 3)]),
]


@pytest.mark.parametrize(("f", "shapes"), SMOOTH, ids=[f"{f.__name__} {shapes}" for f, shapes in SMOOTH])
def test_derivatives_of_a_product(f, shapes):
    """First and second, reverse and forward, for every operand."""
    check_gradient(f, *[sample(shape, seed=i) for i, shape in enumerate(shapes)])


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("ii->i", [(3, 3)]),
        ("ii", [(3, 3)]),
        ("iij->j", [(2, 2, 3)]),
        ("iii->i", [(3, 3, 3)]),
        ("ij->ji", [(2, 3)]),
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,ij->", [(2, 3), (2, 3)]),
        ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 3)]),
        ("ii,i->i", [(3, 3), (3,)]),
        ("i,j,k->kij", [(2,), (3,), (2,)]),
        ("ij,jk->ik", [(2, 1), (3, 4)]),
        ("ij,ij->i", [(1, 3), (2, 3)]),
        ("...ij,...jk->...ik", [(2, 1, 2, 3), (4, 3, 2)]),
        ("...i,i->...", [(2, 3), (3,)]),
        ("i...,i...->...", [(3, 2), (3, 1)]),
        (",i->i", [(), (3,)]),
    ],
)
def test_derivatives_of_einsum(text, shapes):
    """First and second, reverse and forward, for every operand."""
    check_gradient(lambda *xs: lg.einsum(text, *xs), *[sample(shape, seed=i) for i, shape in enumerate(shapes)])


# Views in programs.


def test_one_element_of_an_array_follows_its_values_in_a_program():
    """``x[i, j]`` was a number when the program was written, and stayed what it was then."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.array([[1.0, 2.0], [3.0, 4.0]]))

    def step(ctx, x):
        w, y = ctx.variable("w"), x @ x
        return y[0, 1] * 1, w[1, 0] * 1, y[..., 0, 0] * 1, lg.diagonal(y, offset=1) * 1, ctx.assign(w, w + 1)

    compiled = env.compile(step)
    for k in range(4):
        x = sample((2, 2), seed=k)
        y = x @ x
        one, other, third, above, _ = compiled(x)
        assert (y[0, 1], 3.0 + k, y[0, 0]) == (one, other, third)
        np.testing.assert_array_equal(above, [y[0, 1]])
