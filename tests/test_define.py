"""Ops that users declare: what is refused at the declaration, and that they look and work like ours."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lazygrad as lg
from lazygrad.define import elementwise, movement, opaque, reduction, source
from lazygrad.define.kinds import flat
from lazygrad.testing import check_gradient, check_value

# One op of each kind, as a user writes them.


@elementwise(vjp=lambda g, y, x, *, slope: g * lg.where(x > 0, 1, slope))
def leaky(xp, x, *, slope=0.1):
    """x, or ``slope`` times x where it is negative."""
    return xp.where(x > 0, x, slope * x)


@elementwise(vjp=(lambda g, y, a, b: g * b * b, lambda g, y, a, b: 2 * g * a * b))
def scaled(xp, a, b):
    """a·b²."""
    return xp.multiply(a, xp.multiply(b, b))


@reduction(
    identity=0,
    combine=lg.add,
    vjp=lambda g, y, x, *, axis, keepdims: 2 * x * lg.spread(g, over=x, axis=axis, keepdims=keepdims),
)
def energy(xp, x, *, axis=None, keepdims=False):
    """Sum of squares over ``axis``."""
    return xp.sum(xp.square(x), axis=axis, keepdims=keepdims)


def _shifted(x, by):
    return (*x[:-1], x[-1] - by)


@movement(shape=_shifted, view=True, vjp=lambda g, y, x, *, by: lg.pad(g, [(0, 0)] * (x.ndim - 1) + [(by, 0)]))
def behind(xp, x, *, by=1):
    """x without the first ``by`` elements of its last axis."""
    return x[..., by:]


@opaque(
    shape=lambda a, b: (*a[:-1], b[-1]),
    vjp=(lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a.T @ g),
)
def product(xp, a, b):
    """Matrix product, by a library that we cannot look into."""
    return xp.asarray(a).dot(b)


@opaque(
    shape=lambda x: [x, x[:-1]],
    vjp=lambda g, y, x: g[0] + lg.expand_dims(g[1], -1) * 2,
)
def parted(xp, x):
    """x, and twice its sums."""
    return x.copy(), 2 * xp.sum(x, axis=-1)


@opaque(shape=lambda *xs: xs[0], vjp=lambda g, y, *xs: tuple(g for _ in xs))
def total(xp, *xs):
    """Sum of several."""
    return sum(xs[1:], xs[0].copy())


@source()
def ramp(xp, *, shape, dtype):
    """0, 1, 2, …"""
    return xp.arange(shape[0]).astype(dtype)


X = np.random.default_rng(0).normal(size=(3, 4))
OURS = [leaky, scaled, energy, behind, product, parted, total, ramp]


@pytest.mark.parametrize(
    ("op", "reference", "arrays"),
    [
        (leaky, lambda x: np.where(x > 0, x, 0.1 * x), [X]),
        (scaled, lambda a, b: a * (b * b), [X, X[0]]),
        (energy, lambda x: np.sum(np.square(x)), [X]),
        (behind, lambda x: x[..., 1:], [X]),
        (product, lambda a, b: a.dot(b), [X, X.T]),
        (parted, lambda x: (x, 2 * np.sum(x, axis=-1)), [X]),
        (total, lambda a, b, c: a + b + c, [X, X, X]),
        (lambda: ramp(shape=(3,), dtype="float64"), lambda: np.arange(3.0), []),
    ],
    ids=[op.__name__ for op in OURS],
)
def test_an_op_of_the_users_own_computes_in_every_way(op, reference, arrays):
    """Interpreted, in the program of env.run, and compiled."""
    for dtype in ("float64", "float32") if arrays else ("float64",):
        check_value(op, reference, *[a.astype(dtype) for a in arrays])


@pytest.mark.parametrize(
    ("f", "arrays"),
    [
        (leaky, [X]),
        (lambda x: leaky(x, slope=0.7), [X]),
        (scaled, [X, X[0]]),
        (scaled, [X[:, :1], X[0]]),
        (lambda x: energy(x, axis=-1, keepdims=True), [X]),
        (lambda x: behind(x, by=2), [X]),
        (product, [X, X.T]),
        (parted, [X]),
        (lambda x: parted(x)[1], [X]),
        (total, [X, X, X]),
    ],
    ids=["leaky", "slope", "scaled", "broadcast", "energy", "behind", "product", "parted", "second", "total"],
)
def test_an_op_of_the_users_own_has_derivatives_of_both_orders_and_modes(f, arrays):
    """The forward mode of each follows from its vjp."""
    check_gradient(f, *arrays)


@pytest.mark.parametrize("op", OURS, ids=repr)
def test_an_op_of_the_users_own_has_its_name_signature_and_help(op):
    """As a function of Python, less the leading xp."""
    assert repr(op) == f"<op {op.__name__}>"
    assert repr(op) == repr(lg.exp).replace("exp", op.__name__)
    assert list(inspect.signature(op).parameters)[:1] != ["xp"]
    assert inspect.getdoc(op) == inspect.getdoc(op.kernel)


def test_the_signature_of_a_users_op_is_that_of_its_kernel_without_xp():
    """Names, kinds and defaults."""
    assert str(inspect.signature(leaky)).startswith("(x, *, slope=0.1)")
    assert str(inspect.signature(total)).startswith("(*xs)")


def message(step, *arrays):
    """What a step's error says."""
    with pytest.raises(lg.SpecError) as caught:
        lg.VariableEnvironment(dtype="float64").run(step, *arrays)
    return str(caught.value)


def test_a_mismatch_in_a_users_op_reads_like_one_in_ours():
    """The four parts, with the op's name, the user's line and the reason."""
    theirs = message(lambda ctx, a, b: scaled(a, b), np.zeros((2, 3)), np.zeros(4))
    ours = message(lambda ctx, a, b: lg.multiply(a, b), np.zeros((2, 3)), np.zeros(4))
    assert theirs.splitlines()[0] == "cannot scaled float64[2, 3] and float64[4]"
    assert theirs.splitlines()[-1] == ours.splitlines()[-1]
    assert "left:" in theirs
    assert "test_define.py" in theirs


def test_a_reduction_of_no_elements_without_identity_is_refused_as_ours():
    """The reason names the op."""

    @reduction(vjp=None)
    def widest(xp, x, *, axis=None, keepdims=False):
        """Largest element."""
        return xp.max(x, axis=axis, keepdims=keepdims)

    assert (
        message(lambda ctx, x: widest(x), np.zeros((0, 3))).splitlines()[-1].strip()
        == "There is no widest of no elements."
    )


def test_a_wrong_setting_is_refused_in_pythons_words():
    """As a function refuses it."""
    with pytest.raises(TypeError, match="slop"):
        lg.VariableEnvironment().run(lambda ctx, x: leaky(x, slop=2), X)
    with pytest.raises(TypeError, match="missing"):
        lg.VariableEnvironment().run(lambda ctx, x: scaled(x), X)


def test_an_op_without_derivative_says_so_when_it_is_asked_for():
    """With the op's name, the operand's name and the cure."""

    @elementwise()
    def mystery(xp, x):
        """Something."""
        return xp.sin(x)

    with pytest.raises(lg.GradientError) as caught:
        lg.VariableEnvironment().run(lambda ctx, x: lg.grad(mystery(x), x), X)
    assert str(caught.value).startswith("cannot differentiate mystery with respect to 'x': no derivative is known")


def test_a_flat_op_has_a_gradient_of_zeros():
    """Declared flat, not unknown."""

    @elementwise(vjp=flat)
    def steps(xp, x):
        """Rounded down."""
        return xp.floor(x)

    assert_array_equal(
        np.zeros((3, 4)), lg.VariableEnvironment(dtype="float64").run(lambda ctx, x: lg.grad(steps(x), x), X)
    )


def test_a_user_op_prints_in_the_graph_as_ours():
    """Name, operands, settings and the user's line."""
    graph = str(lg.VariableEnvironment(dtype="float64").trace(lambda ctx, x: leaky(x, slope=0.3), X))
    assert "leaky(%0, slope=0.3)" in graph
    assert "test_define.py" in graph


def test_two_uses_of_an_op_with_other_settings_are_not_merged():
    """Settings are part of what a node is; 0.0 and -0.0 differ."""

    def step(ctx, x):
        return leaky(x, slope=0.0), leaky(x, slope=-0.0), leaky(x, slope=1.0)

    a, b, c = lg.VariableEnvironment(dtype="float64").run(step, np.array([-2.0]))
    assert [np.signbit(a[0]), np.signbit(b[0]), c[0]] == [True, False, -2.0]


# What a declaration is refused for.


def refusal(declare):
    """What the DefinitionError says."""
    with pytest.raises(lg.DefinitionError) as caught:
        declare()
    return str(caught.value)


def test_an_op_without_a_docstring_is_refused():
    """It says what to write."""

    def nameless(xp, x):
        return x

    assert (
        refusal(lambda: elementwise()(nameless)) == "op 'nameless' has no docstring: say in one line what it computes"
    )


def test_an_op_whose_first_parameter_is_not_xp_is_refused():
    """It is the namespace that the kernel computes with."""

    def double(x):
        """2x."""
        return 2 * x

    assert refusal(lambda: elementwise()(double)) == "op 'double': the first parameter is 'xp' (or 'rng'), not 'x'"


def test_an_op_with_no_parameters_at_all_is_refused():
    """Not with an error of Python's."""

    def nothing():
        """Nothing."""

    assert "the first parameter is 'xp'" in refusal(lambda: elementwise()(nothing))


def plain(xp, a, b, *, scale=1.0):
    """scale·a·b."""
    return scale * a * b


def test_another_number_of_rules_than_operands_is_refused():
    """It names the operands."""
    text = refusal(lambda: elementwise(vjp=lambda g, y, a, b: g)(plain))
    assert text.startswith("op 'plain' has 2 operands (a, b), but 1 vjp rules")


def test_a_rule_that_names_a_setting_the_op_has_not_is_refused():
    """A misspelt setting is found at the declaration."""
    rules = (lambda g, y, a, b, *, scal: g, lambda g, y, a, b: g)
    assert (
        refusal(lambda: elementwise(vjp=rules)(plain)) == "op 'plain': its vjp names settings that it has not: {'scal'}"
    )


def test_a_rule_of_another_number_of_operands_is_refused():
    """It says what the rule is called with."""
    rules = (lambda g, y, a: g, lambda g, y, a, b: g)
    assert refusal(lambda: elementwise(vjp=rules)(plain)) == "op 'plain': its vjp takes (g, y, a, b), not 3 operands"


def test_a_forward_rule_is_checked_as_the_reverse_one():
    """And named."""
    assert "jvp" in refusal(lambda: elementwise(vjp=None, jvp=lambda t, y, a, b: t)(plain))


def test_a_reduction_must_take_axis_and_keepdims():
    """Every one is called alike."""

    def whole(xp, x):
        """Sum."""
        return xp.sum(x)

    assert refusal(lambda: reduction()(whole)) == "reduction 'whole' must take axis= and keepdims="


def test_a_kernel_that_draws_needs_the_number_of_its_draw():
    """By which its numbers are repeated."""

    def noise(rng, x):
        """Noise."""
        return rng.normal(size=x.shape)

    assert refusal(lambda: elementwise()(noise)) == (
        "op 'noise' draws with 'rng', and must take a setting draw, the draw's number"
    )


def test_an_op_without_operands_is_a_source():
    """Nothing says which shape another one would have."""

    def nothing(xp, *, size=3):
        """Zeros."""
        return xp.zeros(size)

    assert refusal(lambda: opaque(shape=lambda size: (size,))(nothing)) == (
        "op 'nothing' has no operands: what has none is declared with source()"
    )


def test_an_op_of_any_number_of_operands_needs_one():
    """At the user's line."""
    env = lg.VariableEnvironment()
    with pytest.raises(lg.SpecError, match=r"cannot total(.|\n)*It needs an operand."):
        env.run(lambda ctx: total())


def test_a_movement_is_no_view_an_always_one_or_one_of_contiguous_memory():
    """There is no other word for it."""

    def kept(xp, x):
        """x."""
        return x

    assert refusal(lambda: movement(shape=lambda x: x, view="alwyas")(kept)) == (
        "movement 'kept': view= is 'always', 'contiguous' or None, not 'alwyas'"
    )


# Kernels that break their word.


def broken(op, *arrays):
    """What the DefinitionError says when the op is evaluated."""
    with pytest.raises(lg.DefinitionError) as caught:
        lg.VariableEnvironment(dtype="float64").run(lambda ctx, *xs: op(*xs), *arrays)
    return str(caught.value)


def test_a_kernel_that_returns_another_shape_than_declared_is_caught():
    """With both specs and the user's line."""

    @opaque(shape=lambda x: x)
    def shorter(xp, x):
        """Wrong."""
        return x[1:]

    text = broken(shorter, X)
    assert text.startswith("op 'shorter' declares float64[3, 4], but its kernel returned float64[2, 4]")
    assert "test_define.py" in text


def test_a_kernel_that_returns_another_dtype_than_declared_is_caught():
    """A kernel must not round, or widen, unsaid."""

    @elementwise()
    def rounded(xp, x):
        """Wrong."""
        return x.astype("float32")

    assert broken(rounded, X).startswith("op 'rounded' declares float64[3, 4], but its kernel returned float32[3, 4]")


def test_a_wrong_kernel_is_caught_under_compile_too():
    """At the first call."""

    @opaque(shape=lambda x: x)
    def flattened(xp, x):
        """Wrong."""
        return x.ravel()

    with pytest.raises(lg.DefinitionError):
        lg.VariableEnvironment(dtype="float64").compile(lambda ctx, x: flattened(x))(X)


def test_one_of_several_results_with_another_shape_than_declared_is_caught():
    """Each result is checked."""

    @opaque(shape=lambda x: [x, x])
    def pair(xp, x):
        """Wrong in the second."""
        return x.copy(), x[1:].copy()

    assert "pair" in broken(pair, X)


def test_a_kernel_that_returns_too_few_results_is_caught():
    """One where two are declared."""

    @opaque(shape=lambda x: [x, x])
    def single(xp, x):
        """Wrong."""
        return (x.copy(),)

    assert "single" in broken(single, X)


def test_a_kernel_on_numbers_alone_that_returns_another_dtype_is_caught():
    """Arithmetic on literals is done when the plan is made; the check must hold there too."""

    @elementwise()
    def narrow(xp, x):
        """Wrong."""
        return xp.asarray(x, dtype="float32")

    assert "narrow" in broken(lambda: narrow(2.5))


def test_an_error_in_a_kernel_names_the_op_and_the_users_line():
    """As a note, and the environment is as before."""

    @opaque(shape=lambda x: x)
    def fragile(xp, x):
        """Fails."""
        raise ZeroDivisionError("oops")

    with pytest.raises(ZeroDivisionError, match="oops") as caught:
        lg.VariableEnvironment(dtype="float64").run(lambda ctx, x: fragile(x), X)
    assert caught.value.__notes__[0].startswith("while evaluating fragile(float64[3, 4]), ")


# Names and settings that could be mistaken for ours.


@pytest.mark.parametrize(
    "name", ["reshape", "assign", "variable", "placeholder", "draw", "copyto", "step", "asarray", "in_", "x0"]
)
def test_a_users_op_may_have_any_name(name):
    """Also one that means something in the program that is written."""

    def kernel(xp, x):
        """x, behind a view."""
        return x[...]

    kernel.__name__ = name
    view = movement(shape=lambda x: x, view=True, vjp=lambda g, y, x: g)(kernel)
    check_value(lambda x: view(x * 2) + view(lg.sort(x)), lambda x: x * 2 + np.sort(x), X)


def test_a_users_view_that_copies_what_is_not_contiguous_is_computed_anew_at_every_run():
    """A view of a transpose cannot always be one."""

    @movement(shape=lambda x: (int(np.prod(x)),), view=True, vjp=lambda g, y, x: lg.reshape(g, x.shape))
    def flattened(xp, x):
        """The elements in a row."""
        return xp.reshape(x, (-1,))

    env = lg.VariableEnvironment(dtype="float64")
    for k in range(4):
        got = env.run(lambda ctx, x: flattened((x * 2).T) + 1, X + k)
        assert_array_equal(((X + k) * 2).T.ravel() + 1, got)


def test_a_setting_that_cannot_be_hashed_is_refused():
    """An array as a setting has no key; the error names the op and the setting."""

    @elementwise(vjp=lambda g, y, x, *, table: g)
    def offset(xp, x, *, table):
        """x plus a table."""
        return x + table

    with pytest.raises(lg.SpecError, match="table"):
        lg.VariableEnvironment(dtype="float64").run(lambda ctx, x: offset(x, table=np.ones(4)), X)


def test_a_setting_that_is_a_list_is_one_key_for_equal_lists():
    """Lists are frozen by their elements."""

    @elementwise(vjp=lambda g, y, x, *, table: g)
    def shifted(xp, x, *, table=(1, 2)):
        """x plus the sum of a table."""
        return xp.add(x, float(sum(table)))

    env = lg.VariableEnvironment(dtype="float64")
    for table in ([1, 2], [3, 4], [1, 2]):
        assert_array_equal(X + sum(table), env.run(lambda ctx, x, t=table: shifted(x, table=t), X))


def test_a_wrong_keyword_is_refused_with_the_signature():
    """Python's own words, and what the op takes."""
    env = lg.VariableEnvironment()
    with pytest.raises(TypeError) as caught:
        env.run(lambda ctx: lg.max(ctx.constant([1.0]), dim=0))
    assert "max(x, *, axis=None, keepdims=False): got an unexpected keyword argument 'dim'" == str(caught.value)
