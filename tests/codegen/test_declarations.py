"""What ops declare is seen by running their kernels: wrong ones are refused, right ones compute in every way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES
from numpy.testing import assert_allclose, assert_array_equal

import lazygrad as lg
from lazygrad.define import elementwise, movement, opaque, reduction, source
from lazygrad.define.kinds import Declared, Movement
from lazygrad.engine.checks.declarations import seen
from lazygrad.engine.lower.index import Misdeclared, placed
from lazygrad.graph.spec import Spec

X = np.arange(1.0, 13.0).reshape(3, 4)
WAYS = ["run", "compile", "wait"]


def evaluated(way: str, op: Callable[..., Any], *arrays: Any) -> Any:
    """What a step with the op computes, by ``run``, by the program of ``compile``, or natively at once."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: Any, *xs: Any) -> Any:
        return op(*xs) + 1

    if way == "wait":
        return env.compile(step, wait=True)(*arrays)
    call = env.compile(step) if way == "compile" else lambda *xs: env.run(step, *xs)
    call(*arrays)
    return call(*arrays)


# Wrong declarations, by what the message says of them.

WRONG: list[tuple[str, Any, tuple[Any, ...]]] = []


def wrong(said: str, *arrays: Any) -> Callable[[Any], Any]:
    """Puts an op into the table."""

    def put(op: Any) -> Any:
        WRONG.append((said, op, arrays or (X,)))
        return op

    return put


NO_VIEW = "declares view='always', but its kernel does not return a view of its operand"


@wrong(NO_VIEW)
@movement(shape=lambda x: x, view="always")
def copied(xp, x):
    """A copy."""
    return x.copy()


@wrong(NO_VIEW, np.arange(1e5))
@movement(shape=lambda x: x, view="always")
def long_copied(xp, x):
    """A copy of many."""
    return xp.ascontiguousarray(x[::-1])[::-1].copy()


@wrong(NO_VIEW)
@movement(shape=lambda x: x, view="always")
def negated(xp, x):
    """Another number in place of each."""
    return -x


@wrong(NO_VIEW)
@movement(shape=lambda x: (math.prod(x),), view="always")
def flat(xp, x):
    """A view where memory is contiguous alone."""
    return xp.reshape(x, (-1,))


@wrong(NO_VIEW)
@movement(shape=lambda x: (x[0], x[1] + 100_000), view="always")
def beyond(xp, x):
    """A view of memory that is not its operand's."""
    return np.lib.stride_tricks.as_strided(x, (x.shape[0], x.shape[1] + 100_000), x.strides)


@wrong(NO_VIEW)
@movement(shape=lambda x: x[:1], view="always")
def before(xp, x):
    """A view that begins before its operand."""
    return np.lib.stride_tricks.as_strided(x[:, 0], x.shape[:1], (-x.strides[0],))


@wrong(NO_VIEW)
@movement(shape=lambda x: x, view="always")
def squared_steps(xp, x):
    """A view whose steps depend on the operand's in a way that no view's do."""
    return x if x.strides[-1] < 3 else x[::-1]


@wrong(NO_VIEW)
@movement(shape=lambda x: x[::-1], view="always")
def misshapen(xp, x):
    """A view of another shape than declared."""
    return x[...]


@wrong(NO_VIEW)
@movement(shape=lambda x: x, view="always")
def listed_view(xp, x):
    """A list, whose dtype is its own."""
    return x.tolist()


@wrong(NO_VIEW, np.arange(24.0))
@movement(shape=lambda x: x, view="always")
def between(xp, x):
    """What lies between the elements."""
    return np.lib.stride_tricks.as_strided(x, x.shape, (1,))


@wrong("declares view='contiguous', but its kernel does not return a view of its operand")
@movement(shape=lambda x: (math.prod(x),), view="contiguous")
def copied_row(xp, x):
    """A copy in a row."""
    return xp.reshape(x, (-1,)).copy()


@wrong("is declared a movement, but its kernel computes")
@movement(shape=lambda x: x)
def moved_and_negated(xp, x):
    """Another number in place of each, and no view."""
    return -x


@wrong("is declared a movement, but its kernel computes")
@movement(shape=lambda x: (x[0] + 1, x[1]))
def padded_with_ones(xp, x):
    """Ones where a movement has zeros."""
    return np.concatenate([x, np.ones((1, x.shape[1]), x.dtype)])


@wrong("is declared elementwise, but elements of its result depend on more than those at their place")
@elementwise()
def centred(xp, x):
    """Less the mean."""
    return x - xp.mean(x)


@wrong("is declared elementwise, but elements of its result depend on more than those at their place")
@elementwise()
def by_size(xp, x):
    """Divided by how many there are."""
    return x / np.size(x)


@wrong("is declared elementwise, but elements of its result depend on more than those at their place")
@elementwise()
def by_place(xp, x):
    """The first row alone."""
    return x * (np.arange(x.size).reshape(x.shape) < 3)


@wrong("has a kernel that does something else with what is no array")
@elementwise()
def asks_what_it_gets(xp, x):
    """Another function for arrays."""
    return xp.multiply(x, 3.0) if isinstance(x, np.ndarray) else xp.multiply(x, 2.0)


@wrong("is declared pure, but its kernel gives other numbers when it is called again")
@elementwise()
def noisy(xp, x):
    """With noise that no key gives."""
    return x + np.random.default_rng().normal()


def _counting() -> Any:
    count = itertools.count()

    @opaque(shape=lambda x: x)
    def counting(xp, x):
        """With a state."""
        return x + next(count)

    return counting


def _holding() -> Any:
    out = np.empty((3, 4))

    @opaque(shape=lambda x: x)
    def holding(xp, x):
        """Into one array."""
        return np.add(x, 1, out=out)

    return holding


wrong("is declared pure, but its kernel gives other numbers when it is called again")(_counting())
wrong("changes what it has returned before")(_holding())


@wrong("changes its operand")
@opaque(shape=lambda x: x)
def bumped(xp, x):
    """One more, in place."""
    x += 1
    return x


@wrong("changes its operand")
@opaque(shape=lambda x: x, pure=False)
def bumped_unseen(xp, x):
    """One more, in place, of an op that is never tried."""
    x += 1
    return x


@wrong("changes its operand")
@opaque(shape=lambda x: x, pure=False)
def unlocked(xp, x):
    """One more, in place, after asking for it."""
    x.flags.writeable = True
    x += 1
    return x


@wrong("changes its operand")
@opaque(shape=lambda x: x, pure=False)
def written_as_bytes(xp, x):
    """Zero, by its memory."""
    x.data.cast("B")[0] = 0
    return x


@wrong("changes its operand")
@opaque(shape=lambda x: x, pure=False)
def shuffled(xp, x):
    """In no order."""
    np.random.default_rng(0).shuffle(x)
    return x


@wrong("changes its operand")
@elementwise()
def sorted_in_place(xp, x):
    """Sorts what it is given."""
    x.sort()
    return x


@wrong("declares identity=1, but its kernel returned 0.0 of no elements")
@reduction(identity=1, combine=lg.add)
def summed_from_one(xp, x, *, axis=None, keepdims=False):
    """The sum."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


@wrong("declares combine=maximum, which does not make its result of those of two parts")
@reduction(identity=0, combine=lg.maximum)
def summed_as_maximum(xp, x, *, axis=None, keepdims=False):
    """The sum."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


@wrong("declares combine=add, which does not make its result of those of two parts")
@reduction(combine=lg.add)
def mean_by_adding(xp, x, *, axis=None, keepdims=False):
    """The mean."""
    return xp.mean(x, axis=axis, keepdims=keepdims)


@wrong("declares float64[], but its kernel returned float64[4]")
@reduction(identity=0, combine=lg.add)
def first_axis(xp, x, *, axis=None, keepdims=False):
    """Over another axis than it is asked."""
    return xp.sum(x, axis=0, keepdims=keepdims)


@wrong("declares float64[3, 4], but its kernel returned float32[3, 4]")
@elementwise()
def narrowed(xp, x):
    """Another dtype than declared."""
    return x.astype(np.float32)


@wrong("declares float64[3, 4], but its kernel returned float64[]")
@elementwise()
def one_number(xp, x):
    """Another shape than declared."""
    return xp.sum(x)


@wrong("returns a masked array")
@opaque(shape=lambda x: x)
def masked(xp, x):
    """A masked array."""
    return np.ma.masked_less(x, 3)


for _returned in [(3.0,), (-1, 2), None, "ab", 7, (3, None), (True,)]:

    @wrong("has a shape= rule that returns no shape")
    @opaque(shape=lambda x, said=_returned: said)
    def shapeless(xp, x):
        """Anything."""
        return x


@wrong("has a shape= rule that fails")
@movement(shape=lambda x: (x[5],))
def failing_shape(xp, x):
    """Anything."""
    return x


@wrong("has a dtype= rule that returns no dtypes")
@elementwise(dtype=lambda kinds: np.float64)
def one_dtype(xp, x):
    """Anything."""
    return x


@wrong("has a dtype= rule that fails")
@elementwise(dtype=lambda kinds: kinds[1])
def failing_dtype(xp, x):
    """Anything."""
    return x


@wrong("has a dtype= rule that returns no dtypes")
@reduction(dtype=lambda dtype: "no dtype")
def reduced_to_nothing(xp, x, *, axis=None, keepdims=False):
    """Anything."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


@wrong("has a dtype= rule that returns no dtypes")
@opaque(shape=lambda x: x, dtype=lambda kinds: (kinds, np.complex128))
def complex_dtype(xp, x):
    """Anything."""
    return x


@wrong("declares float64[3, 4], but its kernel returned float64[3]")
@elementwise()
def drawn(rng, x, *, draw=0):
    """Fewer draws than declared."""
    return rng.normal(size=x.shape[0])


@wrong("changes its operand")
@elementwise()
def drawn_in_place(rng, x, *, draw=0):
    """Noise in place."""
    x += rng.normal(size=x.shape)
    return x


@wrong("declares float64[3, 4], but its kernel returned float64[6]")
@opaque(shape=lambda x: x, pure=False)
def shorter(xp, x):
    """Fewer elements than declared, of an op that is never tried."""
    return x.ravel()[:6].copy()


@wrong("declares float64[3, 4], float64[3], but its kernel returned one ndarray")
@opaque(shape=lambda x: [x, x[:1]], pure=False)
def one_of_two(xp, x):
    """One result where two are declared."""
    return x.copy()


@wrong("is declared pure, but its kernel gives other numbers when it is called again")
@elementwise()
def random_branch(xp, x):
    """Another branch at every call."""
    return x * next(_TURNS)


_TURNS = itertools.cycle([1.0, 2.0, 3.0])


@wrong("declares float32[2, 6], but its kernel returned float64[2, 6]", np.ones((3, 4), np.float32))
@movement(shape=lambda x: (2, 6))
def listed(xp, x):
    """The elements in their order, in a list, whose dtype is its own."""
    return xp.reshape(x, (2, 6)).tolist()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("said", "op", "arrays"), WRONG, ids=[f"{op.name}-{k}" for k, (_, op, _) in enumerate(WRONG)])
def test_a_wrong_declaration_is_refused(way: str, said: str, op: Any, arrays: Any) -> None:
    """Whatever way the step is run, before a number of it is believed; and the operands are as they were."""
    before = [array.copy() for array in arrays]
    first = (lambda *xs: op(*xs)[0]) if op.name in ("one_of_two",) else op
    with pytest.raises(lg.DefinitionError) as caught:
        evaluated(way, first, *arrays)
    assert f"op {op.name!r} {said}" == str(caught.value).splitlines()[0]
    for array, kept in zip(arrays, before, strict=True):
        assert_array_equal(kept, array)


def test_a_wrong_declaration_is_told_in_four_parts(env: lg.VariableEnvironment) -> None:
    """What is wrong, where it was used, where it was declared, what was seen, and what to do."""
    with pytest.raises(lg.DefinitionError) as caught:
        env.run(lambda ctx, x: copied(x), X)
    line = copied.raw.__code__.co_firstlineno
    head, place, body = str(caught.value).split("\n\n")
    assert head == "op 'copied' declares view='always', but its kernel does not return a view of its operand"
    assert place.startswith("    env.run(lambda ctx, x: copied(x), X) ")
    assert "test_declarations.py" in place
    assert (
        body
        == f"""\
    declared:  tests/codegen/test_declarations.py:{line}
    seen:      of float64[3, 4] it returned memory of its own, as float64[3, 4]
    Return the operand's own elements, as with x[1:]; leave view= out where the kernel copies or computes."""
    )


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment."""
    return lg.VariableEnvironment(seed=0, dtype="float64")


@pytest.mark.parametrize("op", [bumped, bumped_unseen, unlocked], ids=lambda op: op.name)
@pytest.mark.parametrize("way", WAYS)
def test_a_kernel_cannot_change_a_variable(op: Any, way: str, env: lg.VariableEnvironment) -> None:
    """Nor what reads it afterwards."""
    env.name("w").set(X)
    with pytest.raises(lg.DefinitionError, match="changes its operand"):
        evaluated_in(env, way, lambda ctx: op(ctx.variable("w")))
    assert_array_equal(X, env["w"])


def evaluated_in(env: lg.VariableEnvironment, way: str, step: Callable[..., Any]) -> Any:
    """What a step computes in an environment."""
    return env.run(step) if way == "run" else env.compile(step, wait=way == "wait")()


def test_a_hook_gets_an_array_of_its_own(env: lg.VariableEnvironment) -> None:
    """What it does to it is nobody's business."""

    def change(x: Any) -> None:
        x[...] = 99

    for way in WAYS:
        got = evaluated_in(env, way, lambda ctx: lg.hook(ctx.constant(X), change) * 1)
        assert_array_equal(X, got)


# Right declarations.

RIGHT: list[tuple[Any, Any, tuple[Any, ...]]] = []


def right(reference: Any, *arrays: Any) -> Callable[[Any], Any]:
    """Puts an op into the table."""

    def put(op: Any) -> Any:
        RIGHT.append((op, reference, arrays or (X,)))
        return op

    return put


@right(lambda x: x.ravel()[::2])
@movement(shape=lambda x: ((math.prod(x) + 1) // 2,), view="contiguous")
def every_second(xp, x):
    """A view of contiguous memory that is no reshape."""
    return xp.reshape(x, (-1,))[::2]


@right(lambda x: x.ravel()[2:6].reshape(2, 2).T)
@movement(shape=lambda x: (2, 2), view="contiguous")
def inner(xp, x):
    """A part of contiguous memory, transposed."""
    return xp.transpose(xp.reshape(x, (-1,))[2:6].reshape((2, 2)))


@right(lambda x: x.reshape(2, 6))
@movement(shape=lambda x: (2, 6), view="contiguous")
def regrouped(xp, x):
    """A reshape of the user's."""
    return x.reshape((2, 6))


@right(lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, -1))
@movement(shape=lambda x: (*x[:-1], x[-1] - 1, 2), view="always")
def pairs(xp, x):
    """Neighbours: elements that are seen twice."""
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:-1], x.shape[-1] - 1, 2), (*x.strides, x.strides[-1]))


@right(lambda x: x[::-1].T)
@movement(shape=lambda x: x[::-1], view="always")
def turned(xp, x):
    """Backwards."""
    return xp.transpose(x[::-1])


@right(lambda x: x[::-1])
@movement(shape=lambda x: x, view="always")
def backwards_if_floats(xp, x):
    """A view that stands no other dtype."""
    if x.dtype != np.float64:
        raise TypeError("floats alone")
    return x[::-1]


@right(lambda x: x[::-1])
@movement(shape=lambda x: x, view="always")
def backwards_if_not_zero(xp, x):
    """A view that does not stand what it is tried on."""
    if not x.all():
        raise ValueError("no zeros")
    return x[::-1]


@right(lambda x: np.repeat(x, 2, 0))
@movement(shape=lambda x: (2 * x[0], x[1]))
def twice(xp, x):
    """Every row twice."""
    return xp.repeat(x, 2, axis=0)


@right(lambda x: np.concatenate([x[2:], x[:2], x[:2]]))
@movement(shape=lambda x: (x[0] + 2, x[1]))
def again(xp, x):
    """Some rows twice, and another order."""
    return xp.concatenate([x[2:], x[:2], x[:2]])


@right(lambda x: np.where(x > 4, x, 0.1 * x))
@elementwise()
def leaky(xp, x):
    """Two branches."""
    return xp.where(x > 4, x, 0.1 * x)


@right(lambda x: np.sum(x * x))
@reduction(identity=0, combine=lg.add)
def energy(xp, x, *, axis=None, keepdims=False):
    """The sum of squares."""
    return xp.sum(xp.square(x), axis=axis, keepdims=keepdims)


@right(lambda x: np.max(x))
@reduction()
def largest(xp, x, *, axis=None, keepdims=False):
    """The largest, of which nobody says how it is combined."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@right(lambda x: x.max(), X.astype(np.int64))
@reduction(identity=-np.inf, combine=lg.maximum)
def largest_of_whole_numbers(xp, x, *, axis=None, keepdims=False):
    """The largest; of none it would be a number that the dtype has not."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@right(lambda a, b: b @ a, X[:, :3], X[:, 1:])
@opaque(shape=lambda a, b: (b[0], a[1]), recorded=True)
def swapped(xp, a, b):
    """A product whose factors stand the other way round."""
    return xp.matmul(b, a)


@right(lambda x: x[[2, 0]])
@opaque(shape=lambda x: (2, x[1]))
def chosen(xp, x):
    """Two rows."""
    return xp.elements(x, (np.array([2, 0]),))


TABLE = np.arange(12.0).reshape(3, 4)


@right(lambda x: TABLE + 0 * x)
@opaque(shape=lambda x: x)
def tabled(xp, x):
    """The same array whatever its operand: it is never written to."""
    return TABLE


@right(lambda x: x)
@opaque(shape=lambda x: x)
def itself(xp, x):
    """Its operand."""
    return x


class Odd(np.ndarray):
    """An array whose sums are others."""

    def __add__(self, other: Any) -> Any:
        return self - 100


@right(lambda x: x)
@opaque(shape=lambda x: x)
def odd_arrays(xp, x):
    """An array of another class, whose + would be another one."""
    return x.view(Odd)


@right(lambda x: np.abs(x - 3))
@elementwise()
def by_branch(xp, x):
    """Another way for positive numbers, with the same result."""
    y = x - 3
    return y if (y >= 0).all() else xp.abs(y)


@right(lambda x: np.hypot(x, 2))
@elementwise()
def with_numpy(xp, x):
    """A function that is not asked of xp."""
    return np.hypot(x, 2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("op", "reference", "arrays"), RIGHT, ids=[op.name for op, _, _ in RIGHT])
def test_a_right_declaration_computes_in_every_way(way: str, op: Any, reference: Any, arrays: Any) -> None:
    """Of an argument, of what was computed, and of what does not lie in order."""
    expected = reference(*arrays)
    assert_allclose(expected + 1, evaluated(way, op, *arrays), rtol=1e-12)
    doubled = reference(*[2 * a for a in arrays])
    assert_allclose(doubled + 1, evaluated(way, lambda *xs: op(*[2 * x for x in xs]), *arrays), rtol=1e-12)
    turned = [np.ascontiguousarray(a.T) for a in arrays]
    assert_allclose(expected + 1, evaluated(way, lambda *xs: op(*[x.T for x in xs]), *turned), rtol=1e-12)
    wide = [a * np.ones((5, 1, 1)) for a in arrays]
    assert_allclose(expected + 1, evaluated(way, lambda *xs: op(*[x[2] for x in xs]), *wide), rtol=1e-12)


def test_a_source_that_gives_other_numbers_at_every_call_is_refused(env: lg.VariableEnvironment) -> None:
    """It would be computed once natively, and at every run on NumPy."""

    @source()
    def noise(xp, *, shape, dtype):
        """Noise that no key gives."""
        return np.random.default_rng().normal(size=shape).astype(dtype)

    with pytest.raises(lg.DefinitionError, match="op 'noise' is declared pure, but its kernel gives other numbers"):
        env.run(lambda ctx: noise(shape=(3,), dtype="float64") + 1)


@pytest.mark.parametrize("way", WAYS)
def test_a_source_of_another_shape_than_asked_for_is_refused(way: str, env: lg.VariableEnvironment) -> None:
    """What never changes is computed once, and looked at then."""

    @source()
    def short(xp, *, shape, dtype):
        """Fewer than asked for."""
        return xp.zeros(max(0, shape[0] - 5), dtype)

    with pytest.raises(lg.DefinitionError, match=r"op 'short' declares float64\[30\], but its kernel returned"):
        evaluated_in(env, way, lambda ctx: short(shape=(30,), dtype="float64") + ctx.constant(np.ones(30)))


@pytest.mark.parametrize("view", ["always", "contiguous", None])
@pytest.mark.parametrize("way", WAYS)
def test_a_shape_rule_that_changes_its_mind_reads_nothing_beside_an_operand(view: Any, way: str) -> None:
    """What was seen of one shape says nothing of another."""
    sizes = iter([6, *[60_000_000] * 100])

    @movement(shape=lambda x: (next(sizes),), view=view)
    def fickle(xp, x):
        """Every second element."""
        return x[::2]

    env = lg.VariableEnvironment(dtype="float64")
    assert_array_equal(np.arange(6) * 2, env.run(lambda ctx, x: fickle(x), np.arange(12.0)))
    with pytest.raises(lg.DefinitionError, match="op 'fickle' declares"):
        evaluated_in(env, way, lambda ctx: lg.sum(fickle(ctx.constant(np.arange(12.0)))))


def test_a_kernel_that_raises_when_it_is_tried_is_not_judged(env: lg.VariableEnvironment) -> None:
    """It may be right about what it is tried on."""

    @elementwise()
    def careful(xp, x):
        """x, which is large."""
        if not isinstance(x, np.ndarray) or x.min() < 100:
            raise ValueError("too small")
        return x + 1

    assert_array_equal(X + 101, env.run(lambda ctx, x: careful(x), X + 100))
    with pytest.raises(ValueError, match="too small"):
        env.run(lambda ctx, x: careful(x), X)


def test_what_the_program_takes_for_another_dtype_is_called_as_it_is(env: lg.VariableEnvironment) -> None:
    """It is no fault of the kernel's."""

    @elementwise()
    def tenth(xp, x):
        """x / 10, in the dtype of x."""
        return x * np.asarray(0.1, x.dtype) if isinstance(x, np.ndarray) else x * np.float64(0.1)

    x = X.astype(np.float32)
    for _ in range(3):
        assert_allclose(x / 10, env.run(lambda ctx, x: tenth(x), x), rtol=1e-6)


def test_a_kernel_is_tried_once_for_its_settings_and_dtypes(env: lg.VariableEnvironment) -> None:
    """Not at every step, nor for every size."""
    calls: list[tuple[int, ...]] = []

    @elementwise()
    def noted(xp, x, *, by=1.0):
        """x + by."""
        calls.append(np.shape(x) if isinstance(x, np.ndarray) else ())
        return xp.add(x, by)

    env.run(lambda ctx, x: noted(x), np.ones(1000))
    tried = len(calls)
    env.run(lambda ctx, x: noted(x) * 2, np.ones(2000))
    assert tried + 1 == len(calls)
    assert 1000 not in {shape[0] for shape in calls[:-2] if shape}


def test_a_view_of_much_is_tried_without_memory(env: lg.VariableEnvironment) -> None:
    """On memory that is reserved, and never touched."""
    import tracemalloc

    @movement(shape=lambda x: (x[0] - 1, x[1]), view="always")
    def later(xp, x):
        """All but the first row."""
        return x[1:]

    x = np.zeros((2000, 5000), np.float32)
    step = env.compile(lambda ctx, x: lg.sum(later(x)))
    tracemalloc.start()
    step.prepare(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize(
    "step",
    [
        lambda x: lg.concat([x, x]),
        lambda x: lg.stack([x, x, x], axis=1),
        lambda x: lg.roll(x, 3, axis=0),
        lambda x: lg.pad(x, 1),
        lambda x: lg.grad(lg.sum(x[5:-5] ** 2), [x])[0],
    ],
    ids=["concat", "stack", "roll", "pad", "slice"],
)
def test_joining_large_arrays_is_compiled_without_memory(step: Any, env: lg.VariableEnvironment) -> None:
    """Where elements go is asked of the op, not seen by moving as many."""
    import tracemalloc

    x = np.zeros((2000, 5000), np.float32)
    compiled = env.compile(lambda ctx, x: step(x))
    tracemalloc.start()
    compiled.prepare(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


# lazygrad's own ops.


def primitives() -> list[Any]:
    """A node of every primitive that the table of sample inputs writes, with its operands' specs."""
    found: dict[Any, tuple[Any, list[Spec]]] = {}
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    for case in CASES:
        for dtype in case.dtypes[:1]:
            arrays = case.sample(dtype)
            graph = env.trace(lambda ctx, *xs, case=case: case.call(*xs), *arrays)
            for node in graph.nodes:
                specs = [graph.nodes[j].spec for j in node.inputs]
                if isinstance(node.op, Declared) and all(isinstance(spec, Spec) for spec in specs):
                    found.setdefault((node.op, node.key, tuple(specs)), (node, specs))
    return list(found.values())


OWN = primitives()


def test_the_table_of_ops_writes_most_primitives() -> None:
    """So that the tests below say something."""
    assert len({node.op for node, _ in OWN}) > 150


def test_lazygrads_own_declarations_are_right() -> None:
    """They are believed, so the same is seen of them here, once and for all."""
    odd = []
    for node, specs in OWN:
        if node.op.random or not node.op.pure:
            continue
        try:
            with np.errstate(all="ignore"):
                if not seen(node.op, node, specs):
                    odd.append((node.op.name, node.params, specs, "raises"))
        except Misdeclared as reason:
            odd.append((node.op.name, node.params, specs, reason.args))
    assert [] == odd


def test_lazygrads_own_movements_say_where_their_operands_go() -> None:
    """As is seen by moving numbers."""
    several = 0
    for node, specs in OWN:
        op = node.op
        if not isinstance(op, Movement) or op.view is not None or not all(spec.size for spec in specs):
            continue
        several += 1
        shapes = tuple(spec.shape for spec in specs)
        plain: Any = type("Plain", (), {"kernel": staticmethod(op.kernel)})
        assert placed(plain, shapes, node.params, (op.name, node.key)) == placed(op, shapes, node.params, node.key)
    assert several > 5
