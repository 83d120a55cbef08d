"""Functions of one example as functions of many."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from cases import CASES
from programs import TWIN, exact_program, small, usable
from rows import BITS

import lazygrad as lg
from lazygrad.plan import Plan, walked
from lazygrad.trees import leaves

COUNT = 3
TAKING = [case for case in CASES if case.domains]
SEVERAL = [case for case in TAKING if len(case.domains) > 1]
SMOOTH = [case for case in TAKING if case.order]


def environment():
    """One whose numbers have many digits."""
    return lg.VariableEnvironment(dtype="float64", seed=0)


def dtype_of(case):
    """Many digits, where the op takes them."""
    return "float64" if case.dtypes != BITS else "int64"


def samples(case):
    """Operands of several examples, stacked."""
    return [np.stack(xs) for xs in zip(*[case.sample(dtype_of(case), seed=seed) for seed in range(COUNT)], strict=True)]


def flat(tree):
    """The tensors in what a function returned."""
    return [leaf for _, leaf in leaves(tree) if leaf is not None]


def both_ways(f, arrays, axes=0):
    """What a function gives of all examples at once, and of one after another, stacked."""
    axes = axes if isinstance(axes, tuple) else (axes,) * len(arrays)

    def step(ctx, *xs):
        many = flat(lg.vmap(f, in_axes=axes)(*xs))
        single = [
            flat(f(*[x if axis is None else x[i] for x, axis in zip(xs, axes, strict=True)])) for i in range(COUNT)
        ]
        return many, [lg.stack(list(rows)) for rows in zip(*single, strict=True)]

    with np.errstate(all="ignore"):
        return environment().run(step, *arrays)


def assert_alike(found):
    """Sums may be in another order, which costs a few of the 16 digits."""
    many, single = found
    assert len(single) == len(many)
    for x, y in zip(many, single, strict=True):
        assert y.dtype == x.dtype
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


def scans(f, *arrays, **settings):
    """How many scans a function of all examples needs."""
    graph = environment().trace(lambda ctx, *xs: lg.vmap(f, **settings)(*xs), *arrays)
    return sum(node.op.name == "scan" for node in walked(graph))


# Every op.


@pytest.mark.parametrize("case", TAKING, ids=str)
def test_each_op_of_all_examples_is_what_it_is_of_one(case):
    """Every row of the table, with every operand another one for each example."""
    assert_alike(both_ways(case.call, samples(case)))


@pytest.mark.thinned(2)
@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_operands_may_be_the_same_for_all_examples(case):
    """Every row of several operands, of which each in turn is the only one that differs."""
    for own in range(len(case.domains)):
        axes = tuple(0 if k == own else None for k in range(len(case.domains)))
        arrays = [x if k == own else x[0] for k, x in enumerate(samples(case))]
        assert_alike(both_ways(case.call, arrays, axes))


def summed(f):
    """A function whose result is the sum of the squares of another one's."""
    return lambda *xs: lg.add_n([lg.sum(lg.square(y)) for y in flat(f(*xs)) if y.dtype.kind == "f"])


@pytest.mark.thinned(6)
@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_gradients_of_each_example_are_those_of_one(case):
    """Every smooth row, differentiated in the function of one example, and outside of that of many."""

    def inside(*xs):
        return lg.grad(summed(case.call)(*xs), [x for x in xs if x.dtype.kind == "f"])

    assert_alike(both_ways(inside, samples(case)))

    def outside(ctx, *xs):
        return lg.grad(lg.vmap(summed(case.call))(*xs), [x for x in xs if x.dtype.kind == "f"])

    arrays = samples(case)
    with np.errstate(all="ignore"):
        expected, _ = both_ways(inside, arrays)
        for x, y in zip(environment().run(outside, *arrays), expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


# What needs no scan.

RNG = np.random.default_rng(0)
VECTORS, MATRICES = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4, 4))
IMAGES = RNG.normal(size=(3, 2, 6, 6))

COMMON = {
    "elementwise": (lambda x, a: lg.exp(x) * a + lg.tanh(a).T - 1.0, VECTORS, MATRICES),
    "where": (lambda x: lg.where(x > 0, x, lg.zeros_like(x)), VECTORS),
    "reductions": (lambda a: lg.sum(a, axis=0) + lg.max(a, axis=-1) + lg.mean(a) + lg.var(a, axis=1), MATRICES),
    "logsumexp": (lambda a: lg.logsumexp(a, axis=-1), MATRICES),
    "norm": (lambda x: lg.linalg.vector_norm(x), VECTORS),
    "matmul": (lambda x, a: a @ x + x @ a + (a @ a)[0], VECTORS, MATRICES),
    "einsum": (lambda x, a: lg.einsum("i,ij->j", x, a), VECTORS, MATRICES),
    "reshape": (lambda a: lg.reshape(a, (2, 8)), MATRICES),
    "transpose": (lambda a: a.T, MATRICES),
    "slices": (lambda a: a[1:, ::2] + a[0, None, :2] + a[-1, -1], MATRICES),
    "arrays as indices": (lambda a: a[[0, 2]] + a[[1, 1], None], MATRICES),
    "concat": (lambda x, a: lg.concat([a, x[None]], axis=0), VECTORS, MATRICES),
    "stack": (lambda x: lg.stack([x, x + 1], axis=1), VECTORS),
    "convolve": (lambda x: lg.convolve(x, x[:2]), VECTORS),
    "pad": (lambda a: lg.pad(a, 1), MATRICES),
    "set": (lambda a, x: a.at[0].set(x).at[:, 1].add(2.0), MATRICES, VECTORS),
    "cumulative": (lambda x: lg.cumulative_sum(x) + lg.sort(x), VECTORS),
    "softmax": (lambda x: lg.nn.softmax(x) + lg.nn.log_softmax(x), VECTORS),
    "solve": (lambda x, a: lg.linalg.solve(a @ a.T + lg.eye(4), x), VECTORS, MATRICES),
    "layer norm": (lambda x: lg.nn.layer_norm(x), VECTORS),
    "conv2d": (lambda x: lg.nn.conv2d(x[None], np.ones((3, 2, 3, 3))), IMAGES),
    "max_pool2d": (lambda x: lg.nn.max_pool2d(x[None], 2), IMAGES),
    "attention": (lambda a: lg.nn.scaled_dot_product_attention(a, a, a), MATRICES),
    "cross entropy": (lambda x: lg.nn.cross_entropy(x[None], np.array([1])), VECTORS),
}


@pytest.mark.parametrize("name", COMMON)
def test_common_ops_need_no_scan(name):
    """What networks are made of is computed of all examples at once, and so is its gradient."""
    f, *arrays = COMMON[name]
    assert scans(f, *arrays) == 0
    assert scans(lambda *xs: lg.grad(summed(f)(*xs), xs), *arrays) == 0
    assert_alike(both_ways(f, arrays))


def test_indices_of_each_example_need_no_scan():
    """Arrays that name places may differ from example to example, beside slices, and apart from each other."""
    places = np.array([[0, 2], [1, 1], [3, 0]])
    cube = RNG.normal(size=(3, 4, 2, 4))
    for f in (
        lambda a, i: a[i],
        lambda a, i: a[:, :, i],
        lambda a, i: a[i, :, i],
        lambda a, i: a[i, :, i[:, None]],
        lambda a, i: a.at[i, :, 1].add(1.0),
        lambda a, i: a.at[:, 0, i].set(i * 1.0),
    ):
        for axes in ((0, 0), (None, 0), (0, None)):
            arrays = [x if axis == 0 else x[0] for x, axis in zip((cube, places), axes, strict=True)]
            assert scans(f, *arrays, in_axes=axes) == 0
            assert_alike(both_ways(f, arrays, axes))


def test_an_op_without_a_form_for_many_is_a_scan_over_the_examples():
    """What has no rule is right all the same, and so is its gradient; ops of the user's are such."""

    @lg.define.opaque(shape=lambda x: x, vjp=lambda g, y, x: lg.flip(g) * 2.0)
    def backwards(xp, x):
        """Twice the elements, from behind."""
        return 2 * x[::-1]

    assert scans(lambda x: backwards(x), VECTORS) == 1
    assert_alike(both_ways(lambda x: backwards(x), [VECTORS]))
    assert_alike(both_ways(lambda x: lg.grad(summed(backwards)(x), x), [VECTORS]))


def test_reductions_and_formulas_of_the_users_need_no_scan():
    """Their kinds say how they are computed of many."""

    @lg.define.elementwise(vjp=lambda g, y, x: g * 2.0)
    def doubled(xp, x):
        """Twice x."""
        return x + x

    @lg.define.reduction(identity=0)
    def added(xp, x, *, axis=None, keepdims=False):
        """The sum."""
        return xp.sum(x, axis=axis, keepdims=keepdims)

    f = lambda a: doubled(added(a, axis=-1))  # noqa: E731
    assert scans(f, MATRICES) == 0
    assert_alike(both_ways(f, [MATRICES]))


def test_a_matrix_that_all_examples_share_is_multiplied_once():
    """Examples are the rows of one matrix then, and no matrix is repeated."""
    graph = environment().trace(lambda ctx, x, w: lg.vmap(lambda v: v @ w + w @ v)(x), VECTORS, np.ones((4, 4)))
    found = [node.spec.shape for node in graph.nodes if node.op.name == "matmul"]
    assert found == [(3, 4), (3, 4)]


# How it nests.


def test_functions_of_many_nest():
    """All pairs of two lists, as a table."""
    a, b = RNG.normal(size=(3, 2)), RNG.normal(size=(5, 2))

    def step(ctx, a, b):
        distance = lambda x, y: lg.sum(lg.square(x - y))  # noqa: E731
        return lg.vmap(lg.vmap(distance, (None, 0)), (0, None))(a, b)

    np.testing.assert_allclose(environment().run(step, a, b), ((a[:, None] - b) ** 2).sum(-1))


def test_axes_of_arguments_and_results_are_chosen():
    """Negative axes count from the end, and axes are nested as what they are of."""
    x = RNG.normal(size=(4, 3))

    def step(ctx, x):
        f = lambda d, k: {"twice": 2 * d["x"], "same": d["n"] * k, "all": d["n"] + 1}  # noqa: E731
        out = {"twice": -1, "same": 0, "all": None}
        return lg.vmap(f, in_axes=({"x": -1, "n": None}, None), out_axes=out)({"x": x, "n": np.ones(2)}, 3.0)

    found = environment().run(step, x)
    np.testing.assert_array_equal(found["twice"], 2 * x)
    np.testing.assert_array_equal(found["same"], np.full((3, 2), 3.0))
    np.testing.assert_array_equal(found["all"], np.full(2, 2.0))


def test_arguments_by_name_have_examples_along_the_first_axis():
    """As those of JAX do."""
    found = environment().run(lambda ctx, x: lg.vmap(lambda x, *, k: x + k)(x, k=np.arange(3.0)), VECTORS)
    np.testing.assert_array_equal(found, VECTORS + np.arange(3.0)[:, None])


def test_the_gradient_of_each_example_for_a_variable():
    """The variable is one; what it is differentiated for is the loss of each example."""
    env = environment()
    env.name("w").set(RNG.normal(size=4))
    y = RNG.normal(size=3)

    def step(ctx, x, y):
        w = ctx.variable("w")
        return lg.vmap(lambda a, b: lg.grad(lg.square(a @ w - b), w))(x, y)

    w = env["w"]
    expected = 2 * (VECTORS @ w - y)[:, None] * VECTORS
    np.testing.assert_allclose(env.run(step, VECTORS, y), expected)
    compiled = env.compile(step)
    np.testing.assert_allclose(compiled(VECTORS, y), expected)
    np.testing.assert_allclose(compiled(VECTORS, y), expected)


def test_each_example_draws_its_own_numbers():
    """Those of the turns of a loop, bit for bit, and without one; in functions of many of functions of many too."""
    draw = lambda ctx, v: ctx.random.normal((4,)) + v * 0  # noqa: E731
    step = lambda ctx, x: lg.vmap(lambda v: draw(ctx, v))(x)  # noqa: E731
    found = environment().run(step, VECTORS)
    turns = environment().run(lambda ctx, x: lg.scan(lambda c, v: (c, draw(ctx, v)), 0, x)[1], VECTORS)
    np.testing.assert_array_equal(found, turns)
    np.testing.assert_array_equal(environment().compile(step, wait=True)(VECTORS), found)
    assert len({row.tobytes() for row in found}) == 3
    graph = environment().trace(step, VECTORS)
    assert [node for node in walked(graph) if node.op.name == "scan"] == []
    nested = environment().run(
        lambda ctx, x: lg.vmap(lambda row: lg.vmap(lambda v: v * 0 + ctx.random.normal(()))(row))(x), VECTORS
    )
    assert len(set(nested.ravel())) == 12


def test_ops_of_the_users_that_draw_do_so_for_each_example():
    """Although nothing that they are given differs."""

    @lg.define.elementwise()
    def noisy(rng, x, *, draw):
        """x and a number."""
        return x + rng.normal(size=x.shape)

    found = environment().run(lambda ctx, x: lg.vmap(lambda v: noisy(lg.zeros(2), draw=0) + 0 * v[0])(x), VECTORS)
    assert len(set(found.ravel())) == 6


def test_derivatives_of_the_users_own_are_those_of_each_example():
    """A rule that the user gave is written for one example."""

    @lg.custom_gradient
    def clipped(x):
        return lg.sum(x), lambda g: g * x * 100

    assert_alike(both_ways(lambda x: lg.grad(clipped(x), x), [VECTORS]))
    found = environment().run(lambda ctx, x: lg.grad(lg.vmap(clipped)(x), x), VECTORS)
    np.testing.assert_allclose(found, VECTORS * 100)


def test_loops_of_all_examples_go_from_turn_to_turn_together():
    """A scan stays one scan, also where a carry begins the same for all."""

    def f(x):
        return lg.scan(lambda c, v: (c * 0.5 + v, c * x[0]), 0.0, x)

    assert scans(f, VECTORS) == 1
    assert_alike(both_ways(f, [VECTORS]))
    assert_alike(both_ways(lambda x: lg.grad(f(x)[0], x), [VECTORS]))


def test_choices_of_each_example():
    """Each example takes its own branch, and its own number of turns."""

    def f(x):
        y = lg.cond(x[0] > 0, lambda: lg.sin(x), lambda: x * x)
        return lg.while_loop(lambda c: lg.sum(lg.square(c)) > 0.1, lambda c: c / 2, y)

    assert_alike(both_ways(f, [VECTORS]))


@pytest.mark.thinned(4)
@pytest.mark.parametrize("case", TAKING, ids=str)
def test_of_no_examples_there_are_no_results(case):
    """Every row, written for one example all the same, and computed of none."""
    arrays = samples(case)
    with np.errstate(all="ignore"):
        many, _ = both_ways(case.call, arrays)
        none = flat(environment().run(lambda ctx, *xs: lg.vmap(case.call)(*xs), *[x[:0] for x in arrays]))
    assert [(0, *y.shape[1:]) for y in many] == [y.shape for y in none]


CUBIC = lambda z, p: z * z * z + z - p  # noqa: E731

NESTED = {
    "jacobian": lambda x: lg.jacobian(lg.exp(x) * x[0], x),
    "hessian": lambda x: lg.hessian(lg.sum(lg.exp(x) * x[0]), x),
    "jvp": lambda x: lg.jvp(lg.exp(x) * x[0], x, x),
    "checkpoint": lambda x: lg.grad(lg.sum(lg.checkpoint(lambda v: lg.exp(v) * x)(x)), x),
    "implicit": lambda x: lg.grad(
        lg.sum(lg.implicit(lambda p: lg.fori_loop(0, 20, lambda i, z: z - CUBIC(z, p) / (3 * z * z + 1), p), CUBIC)(x)),
        x,
    ),
    "odeint": lambda x: lg.odeint(lambda t, y: -y * x[0] ** 2, x, np.array([0.0, 1.0])),
    "in a scan": lambda x: lg.scan(lambda c, _: (lg.sum(lg.vmap(lambda v: c * v)(x)), c), 1.0, length=3)[1],
}


@pytest.mark.parametrize("name", NESTED)
def test_what_is_written_of_functions_is_that_of_each_example(name):
    """Derivatives of all kinds, solutions, and loops around functions of many."""
    assert_alike(both_ways(NESTED[name], [VECTORS]))


def test_layers_are_those_of_each_example():
    """The gradient of each example adds up to that of the batch, without a scan, and the same in native code."""
    env = lg.VariableEnvironment(seed=0)
    first = lg.nn.Conv2d(env.namespace("first"), 2, 3, 3)
    norm = lg.nn.LayerNorm(env.namespace("norm"), 4)
    last = lg.nn.Linear(env.namespace("last"), 48, 1)
    network = [*first.variables, *norm.variables, *last.variables]

    def loss(image):
        hidden = norm(lg.nn.relu(first(image[None])))
        return lg.sum(lg.square(last(lg.reshape(hidden, (1, -1)))))

    def step(ctx, images):
        return lg.grad_per_example(loss, network)(images), lg.grad(lg.sum(lg.vmap(loss)(images)), network)

    images = IMAGES.astype("float32")
    assert [node for node in walked(env.trace(step, images)) if node.op.name == "scan"] == []
    compiled = env.compile(step, wait=True)
    for found in (env.run(step, images), compiled(images), compiled(images)):
        for each, together in zip(*found, strict=True):
            np.testing.assert_allclose(each.sum(axis=0), together, rtol=1e-4, atol=1e-4)  # sums of float32


def exact_examples(seed):
    """A random program on whole numbers as a function, operands of which some have examples along some axis, and which.

    None where its sums are not exact.
    """
    random = Random(seed)
    program, rng = exact_program(random), np.random.default_rng(seed)
    function, inputs = program.function(), program.inputs
    own = random.randrange(len(inputs))
    axes = [
        random.randrange(-1, x.ndim + 1) if k == own or random.random() < 0.5 else None for k, x in enumerate(inputs)
    ]
    examples = [
        [x if axis is None else small(rng, x.shape, x.dtype) for x, axis in zip(inputs, axes)] for _ in range(COUNT)
    ]
    with np.errstate(all="ignore"):
        computed = [function(TWIN, *xs) for xs in examples]
    if not all(usable(value) for values in computed for value in values):
        return None
    places = [program.names.index(name) for name in program.outputs]
    arrays = [xs[0] if axis is None else np.stack(xs, axis) for xs, axis in zip(zip(*examples), axes)]
    expected = [np.stack([values[k] for values in computed]) for k in places]
    return lambda *xs: [function(lg, *xs)[k] for k in places], arrays, tuple(axes), expected


@pytest.mark.thinned(4)
@pytest.mark.parametrize("part", range(8))
def test_random_programs_of_all_examples_give_numpys_numbers(part):
    """Bit for bit: of whole numbers every sum is exact, in any order."""
    checked = 0
    for seed in range(40 * part, 40 * part + 40):
        made = exact_examples(seed)
        if made is None:
            continue
        f, arrays, axes, expected = made
        with np.errstate(all="ignore"):
            found = environment().run(lambda ctx, *xs, f=f, axes=axes: lg.vmap(f, in_axes=axes)(*xs), *arrays)
        for x, y in zip(found, expected, strict=True):
            assert (y.shape, y.dtype) == (x.shape, x.dtype), seed
            assert np.array_equal(x, y), seed
        checked += 1
    assert checked > 20


def test_writing_it_again_follows_what_was_written_before(monkeypatch):
    """Of a function with a choice, draws and a gradient plans are made in the first run alone."""
    made = []
    begin = Plan.__init__
    monkeypatch.setattr(Plan, "__init__", lambda self, *given, **settings: made.append(begin(self, *given, **settings)))

    def step(ctx, x):
        def f(v):
            y = lg.cond(v[0] > 0, lambda: lg.sum(v) * ctx.random.normal(()), lambda: v[1])
            return y, lg.grad(y, v)

        return lg.vmap(f)(x)

    env = environment()
    env.run(step, VECTORS)
    count = len(made)
    assert count > 0
    env.run(step, VECTORS)
    assert len(made) == count
