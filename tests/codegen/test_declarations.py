"""What ops declare is seen by running their kernels: wrong declarations are refused in every way of running a step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from declared import WAYS, X, evaluated, evaluated_in
from numpy.testing import assert_array_equal

import lazygrad as lg
from lazygrad.define import elementwise, movement, opaque, reduction

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


@pytest.mark.parametrize("op", [bumped, bumped_unseen, unlocked], ids=lambda op: op.name)
@pytest.mark.parametrize("way", WAYS)
def test_a_kernel_cannot_change_a_variable(op: Any, way: str, env: lg.VariableEnvironment) -> None:
    """Nor what reads it afterwards."""
    env.name("w").set(X)
    with pytest.raises(lg.DefinitionError, match="changes its operand"):
        evaluated_in(env, way, lambda ctx: op(ctx.variable("w")))
    assert_array_equal(X, env["w"])


def test_a_hook_gets_an_array_of_its_own(env: lg.VariableEnvironment) -> None:
    """What it does to it is nobody's business."""

    def change(x: Any) -> None:
        x[...] = 99

    for way in WAYS:
        got = evaluated_in(env, way, lambda ctx: lg.hook(ctx.constant(X), change) * 1)
        assert_array_equal(X, got)
