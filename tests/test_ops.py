"""The checks that follow from the table of ops, see ``cases.py``."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import warnings

import numpy as np
import pytest
from cases import CASES, DRAWS, EXEMPT, drawn

import lazygrad as lg
from lazygrad.define.kinds import Declared, Reduction
from lazygrad.engine.agreement import disagreement
from lazygrad.graph.registry import functions
from lazygrad.plan import walked
from lazygrad.testing import check_gradient, check_value

ELEMENTWISE = [case for case in CASES if case.kind == "elementwise"]
SEVERAL = [case for case in ELEMENTWISE if len(case.domains) > 1]
REDUCTIONS = [case for case in CASES if case.kind == "reduction"]
SMOOTH = [case for case in CASES if case.order]
KINDS = ("bool", "int32", "int64", "float32", "float64")


def every_primitive():
    """Every declared op, found by walking the modules."""
    found = {}
    for info in pkgutil.walk_packages(lg.__path__, "lazygrad."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, Declared):
                found[id(value)] = value
    return list(found.values())


def every_public_function():
    """Every public function on tensors with its name below ``lazygrad``."""
    found = {}
    for prefix, module in (("", lg), ("linalg.", lg.linalg), ("nn.", lg.nn)):
        for name, value in vars(module).items():
            home = getattr(value, "__module__", "") or ""
            ours = home.startswith(
                (
                    "lazygrad.ops",
                    "lazygrad.linalg",
                    "lazygrad.nn",
                    "lazygrad.derivative.gradient",
                    "lazygrad.derivative.jacobian",
                )
            )
            if ours and not name.startswith("_") and callable(value) and not inspect.isclass(value):
                # `lazygrad.linalg` may hold names of `lazygrad` too; each counts once, where it is at home.
                found.setdefault(id(value), (prefix + name, value))
    return list(found.values())


PRIMITIVES = every_primitive()


def refused_or_checked(case, arrays):
    """Check the value; where NumPy refuses the dtypes, lazygrad must refuse them as it does."""
    try:
        with np.errstate(all="ignore"):
            case.reference(*arrays)
    except TypeError:
        with pytest.raises(lg.SpecError):
            check_value(case.call, lambda *_: (), *arrays)
        return
    check_value(case.call, case.reference, *arrays, ulps=case.ulps)


def evaluated(call, *arrays):
    """The value of ``call`` in an environment of its own."""
    return lg.VariableEnvironment(dtype="float64").run(lambda ctx, *xs: call(*xs), *arrays)


# The table itself.


def test_every_public_function_has_a_row():
    """A function that is exported is checked by all that follows."""
    rows = {case.name for case in CASES} | set(EXEMPT)
    missing = [name for name, _ in every_public_function() if name not in rows]
    lines = [f'{home_of(name)}:  row("{name}", lg.{name}, np.{name.split(".")[-1]}, X),' for name in missing]
    assert missing == [], "add a line for each:\n" + "\n".join(lines)


def home_of(name):
    """The file of the rows."""
    return f"tests/rows_{name.split('.')[0]}.py" if "." in name else "tests/rows_arrays.py or tests/rows_elementwise.py"


def test_every_primitive_is_reached_by_a_row():
    """A primitive that no row calls is checked by nothing."""
    reached = set()
    for call, arrays in [
        *((c.call, c.sample(c.dtypes[0])) for c in CASES),
        *((lambda n=n: drawn(n), []) for n in DRAWS),
        (lambda: lg.scan(lambda carry, _: (carry, drawn("normal")), 0, length=2), []),  # a turn has a stream of its own
    ]:
        graph = lg.VariableEnvironment(dtype="float64").trace(lambda ctx, *xs, f=call: f(*xs), *arrays)
        reached |= {id(node.op) for node in walked(graph)}
    missing = [op for op in PRIMITIVES if id(op) not in reached and op.name not in EXEMPT]
    lines = [f'row("{op.name}", {op.kernel.__module__}.{op.kernel.__name__}, np.{op.name}, X),' for op in missing]
    assert missing == [], "add a line for each to one of tests/rows_*.py:\n" + "\n".join(lines)


def test_no_row_is_of_something_that_does_not_exist():
    """A row whose function was renamed would check something else."""
    known = {name for name, _ in every_public_function()} | set(functions) | {op.kernel.__name__ for op in PRIMITIVES}
    assert [case.name for case in CASES if case.name not in known] == []


def test_no_two_rows_have_the_same_name():
    """Rows of one op are told apart by their labels."""
    names = [str(case) for case in CASES]
    assert [name for name in set(names) if names.count(name) > 1] == []


@pytest.mark.parametrize(("name", "f"), every_public_function())
def test_a_public_function_has_a_docstring(name, f):
    """Its first line ends like a sentence, so that help() and the pages read well."""
    first = (inspect.getdoc(f) or "").splitlines()[:1]
    assert first, f"{name} has no docstring"
    assert first[0].rstrip()[-1] in ".:;,", f"{name}: {first[0]!r}"


# Values.


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("case", "dtype"), [(c, d) for c in CASES for d in c.dtypes], ids=str)
def test_the_value_and_dtype_are_numpys_however_it_is_run(case, dtype):
    """NumPy's numbers and dtype, node by node and compiled, and its refusals."""
    refused_or_checked(case, case.sample(dtype))


@pytest.mark.thinned(3)
@pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 1, 3)], ids=str)
def test_an_elementwise_op_takes_any_shape(case, shape):
    """Numbers, empty arrays and deep ones."""
    check_value(case.call, case.reference, *case.sample(case.dtypes[0], [shape] * len(case.domains)), ulps=case.ulps)


def broadcasts(count):
    """Shapes that broadcast together, every operand being the small one in turn."""
    pairs = [
        ((3, 1), (1, 4)),
        ((4,), (3, 4)),
        ((), (3,)),
        ((2, 1, 4), (3, 1)),
        ((1,), (1, 1)),
        ((0,), (1,)),
        ((1, 3), (0, 1)),
    ]
    for one, other in pairs:
        for k in range(count):
            yield tuple(one if i == k else other for i in range(count))


BROADCAST = [(case, shapes) for case in SEVERAL for shapes in broadcasts(len(case.domains))]


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("case", "shapes"), BROADCAST, ids=str)
def test_operands_broadcast_as_numpys(case, shapes):
    """Each operand in turn is stretched."""
    check_value(case.call, case.reference, *case.sample(case.dtypes[0], shapes), ulps=case.ulps)


@pytest.mark.thinned(6)
@pytest.mark.parametrize(
    ("case", "left", "right"),
    [
        (c, *pair)
        for c in SEVERAL
        if len(c.domains) == 2
        for pair in itertools.product(KINDS, KINDS)
        if set(pair) <= set(c.dtypes)
    ],
    ids=str,
)
def test_two_dtypes_promote_as_numpys(case, left, right):
    """NEP 50 for arrays."""
    refused_or_checked(case, [case.sample(left, seed=1)[0], case.sample(right, seed=2)[1]])


@pytest.mark.thinned(4)
@pytest.mark.parametrize(
    ("case", "number", "dtype"),
    [
        (c, n, d)
        for c in SEVERAL
        if len(c.domains) == 2
        for n in (2, 2.0)
        for d in ("int32", "float32", "float64")
        if d in c.dtypes
    ],
    ids=str,
)
def test_a_python_number_is_weak(case, number, dtype):
    """NEP 50 for numbers, on either side."""
    array = case.sample(dtype)[0]
    for call, reference in (
        (lambda x: case.call(x, number), lambda x: case.reference(x, number)),
        (lambda x: case.call(number, x), lambda x: case.reference(number, x)),
    ):
        try:
            with np.errstate(all="ignore"):
                reference(array)
        except (TypeError, ValueError):  # shifts by floats; whole numbers to negative powers
            continue
        check_value(call, reference, array, ulps=case.ulps)


# Derivatives.


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_derivatives_agree_with_difference_quotients(case):
    """First and second, reverse and forward, along random directions."""
    check_gradient(case.call, *case.sample(), order=case.order)


@pytest.mark.thinned(4)
@pytest.mark.parametrize(("case", "shapes"), [b for b in BROADCAST if b[0].order], ids=str)
def test_derivatives_of_broadcast_operands_agree_with_difference_quotients(case, shapes):
    """A cotangent is summed over the axes along which its operand was stretched."""
    check_gradient(case.call, *case.sample(shapes=shapes), order=case.order)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.order], ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (0, 3)], ids=str)
def test_derivatives_of_an_elementwise_op_hold_for_numbers_and_empty_arrays(case, shape):
    """Zero-dimensional and empty operands."""
    check_gradient(case.call, *case.sample(shapes=[shape] * len(case.domains)), order=case.order)


@pytest.mark.parametrize("case", [c for c in SMOOTH if "float32" in c.dtypes and c.label != "float64"], ids=str)
def test_a_gradient_has_the_dtype_of_what_it_is_taken_for(case):
    """float32 in, float32 out, in both modes and for the second derivative."""
    arrays = case.sample("float32")

    def step(ctx, *xs):
        ys = case.call(*xs)
        ys = [y for y in (ys if isinstance(ys, (tuple, list)) else [ys]) if y.dtype.kind == "f"]
        wrt = [x for x in xs if x.dtype.kind == "f"]
        grads = lg.grad(ys, wrt)
        return grads, lg.jvp(ys, wrt, [np.ones(x.shape, x.dtype) for x in wrt]), lg.grad(grads, wrt)

    grads, tangents, second = lg.VariableEnvironment(dtype="float32").run(step, *arrays)
    floats = [a for a in arrays if a.dtype.kind == "f"]
    assert [(a.shape, a.dtype) for a in floats] == [(g.shape, g.dtype) for g in grads]
    assert [(a.shape, a.dtype) for a in floats] == [(g.shape, g.dtype) for g in second]
    assert [np.dtype(np.float32)] * len(tangents) == [t.dtype for t in tangents]


# Reductions.

AXES = [
    (None, False),
    (None, True),
    (0, False),
    (1, True),
    (-1, False),
    (-3, True),
    ((0, 2), False),
    ((-1, 0), True),
    ((1,), False),
    ((), False),
]


def reductions_and_axes():
    """Each reduction with each form of ``axis`` and ``keepdims`` that it takes."""
    for case, (axis, keepdims) in itertools.product(REDUCTIONS, AXES):
        if (case.axes == "one" and isinstance(axis, tuple)) or (keepdims and not case.keepdims):
            continue
        if axis == () and case.name in ("average", "logsumexp"):  # NumPy's and SciPy's own take () for None
            continue
        yield case, {"axis": axis, "keepdims": keepdims} if case.keepdims else {"axis": axis}


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("case", "settings"), list(reductions_and_axes()), ids=str)
def test_a_reduction_takes_numpys_axes(case, settings):
    """None, one, negative, several or no axes, kept or not."""
    for dtype in ("float64", "float32"):
        array = case.sample(dtype)[0]
        check_value(
            lambda x: case.call(x, **settings), lambda x: quietly(case.reference, x, **settings), array, ulps=case.ulps
        )


def is_smooth(case, settings):
    """The deviation of a single number is 0, where the root has no slope; of a sample of one it is NaN."""
    return case.order and not (settings["axis"] == () and (case.name == "std" or case.label == "sample"))


@pytest.mark.parametrize(("case", "settings"), [r for r in reductions_and_axes() if is_smooth(*r)], ids=str)
def test_derivatives_of_a_reduction_over_axes_agree_with_difference_quotients(case, settings):
    """The cotangent is spread along the axes that were summed."""
    check_gradient(lambda x: case.call(x, **settings), *case.sample())


@pytest.mark.parametrize("case", [c for c in REDUCTIONS if c.axes == "any"], ids=str)
@pytest.mark.parametrize(
    ("shape", "axis"), [((), None), ((0,), None), ((0, 3), 0), ((0, 3), 1), ((3, 0), (0, 1))], ids=str
)
def test_a_reduction_of_numbers_and_empty_arrays_is_numpys(case, shape, axis):
    """Over no elements the identity, or NumPy's refusal."""
    array = np.ones(shape, case.dtypes[0])
    try:
        quietly(case.reference, array, axis=axis)
    except ValueError:
        with pytest.raises(lg.SpecError):
            evaluated(lambda x: case.call(x, axis=axis), array)
        return
    check_value(
        lambda x: case.call(x, axis=axis), lambda x: quietly(case.reference, x, axis=axis), array, ulps=case.ulps
    )


def quietly(f, *args, **kwargs):
    """NumPy's answer without its warnings of empty slices."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        return f(*args, **kwargs)


COMBINING = [op for op in PRIMITIVES if isinstance(op, Reduction) and op.combine is not None]


@pytest.mark.parametrize("op", COMBINING, ids=repr)
@pytest.mark.parametrize("axis", [None, 0, (0, 1)], ids=str)
def test_the_parts_of_a_reduction_combine_to_the_whole(op, axis):
    """``combine`` of the results of two parts is the result of both."""
    # Small whole numbers: no rounding, so the order of the sums does not matter.
    x = np.random.default_rng(0).integers(1, 4, (5, 3)).astype("float64")
    whole = op.kernel(np, x, axis=axis, keepdims=False)
    parts = [op.kernel(np, part, axis=axis, keepdims=False) for part in (x[:2], x[2:])]
    assert np.array_equal(whole, op.combine.kernel(np, *parts))


@pytest.mark.parametrize("op", [op for op in COMBINING if op.identity is not None], ids=repr)
def test_the_identity_of_a_reduction_is_its_value_over_no_elements(op):
    """And combining with it changes nothing."""
    value = np.asarray(evaluated(lambda x: op(x), np.zeros(0)))
    assert value == op.identity
    part = op.kernel(np, np.array([3.0, 2.0]), axis=(0,), keepdims=False)
    assert op.combine.kernel(np, value, part) == part


# Draws.


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_draw_has_the_spec_it_declares_however_it_is_run(name, dtype):
    """Shape and dtype, and the same seed gives the same numbers compiled as not."""
    one, other = (lg.VariableEnvironment(seed=3, dtype=dtype) for _ in range(2))
    specs = []

    def step(ctx):
        y = drawn(name)
        specs.append((y.shape, y.dtype))
        return y

    compiled = other.compile(step)
    for _ in range(3):
        value = one.run(step)
        assert specs[-1] == (value.shape, value.dtype)
        drawn_again = compiled()
        if compiled.is_native:  # a draw is the same, what is computed of it may be rounded otherwise
            assert disagreement(drawn_again, value) is None
        else:
            assert np.array_equal(value, drawn_again)


# CuPy.


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cupy_computes_what_numpy_does(case, cupy):
    """The same kernels on a GPU, to the rounding of its own functions."""
    arrays = case.sample(case.dtypes[0])

    def step(ctx, *xs):
        ys = case.call(*xs)
        return list(ys) if isinstance(ys, (tuple, list)) else [ys]

    expected = lg.VariableEnvironment(dtype="float64").run(step, *arrays)
    actual = lg.VariableEnvironment(backend="cupy", dtype="float64").run(step, *[cupy.asarray(a) for a in arrays])
    for want, got in zip(expected, actual, strict=True):
        got = cupy.asnumpy(got)
        assert (want.shape, want.dtype) == (got.shape, got.dtype)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
