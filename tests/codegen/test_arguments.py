"""What a native step is given: arrays that need no conversion go to the kernels as they lie, others are taken over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.engine.cpu.binding import Binding
from lazygrad.engine.table import arguments, lower
from lazygrad.engine.table.arguments import Moving, expected, layout, taking
from lazygrad.graph.spec import Spec

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

FLOATS = np.arange(12, dtype="float32").reshape(3, 4) - 5


@pytest.fixture(autouse=True)
def _native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code from the first call on, not compared."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "wait")
    monkeypatch.delenv("LAZYGRAD_CHECK", raising=False)


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with one variable."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((3, 4), "float32"))
    return env


class Own(np.ndarray):
    """A subclass whose operators would do something else."""

    def __add__(self, other: Any) -> Any:
        raise AssertionError("an operator of the subclass")

    __mul__ = __add__


class Like:
    """No array, but it can be made one."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(FLOATS, dtype)


def misaligned(x: Any) -> Any:
    """The same numbers at an odd address."""
    room = np.zeros(x.nbytes + 9, np.uint8)
    start = 1 - room.ctypes.data % 2
    found = room[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    found[...] = x
    assert not found.flags.aligned
    return found


def read_only(x: Any) -> Any:
    """The same numbers, which cannot be written."""
    x = x.copy()
    x.flags.writeable = False
    return x


def with_metadata(x: Any) -> Any:
    """The same numbers of an equal dtype that is another object."""
    return x.astype(np.dtype(x.dtype, metadata={"unit": "m"}))


def spaced(x: Any) -> Any:
    """The same numbers with gaps between them."""
    room = np.zeros((x.shape[0] * 2, x.shape[1] * 3), x.dtype)
    room[::2, ::3] = x
    return room[::2, ::3]


GIVEN: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda x: x,
    "of columns": np.asfortranarray,
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "with gaps": spaced,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape) if (x[:1] == x).all() else x,
    "of the other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "of a subclass": lambda x: x.view(Own),
    "read only": read_only,
    "misaligned": misaligned,
    "misaligned from bytes": lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "of another dtype object": with_metadata,
    "of an object that can be made an array": lambda x: Like(),
    "a part of a larger one": lambda x: np.vstack([x, x])[: x.shape[0]],
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("first", [False, True], ids=["after others", "first"])
def test_an_array_of_any_kind_is_read_right(env: lg.VariableEnvironment, name: str, first: bool) -> None:
    """At the first call, at later ones, and between calls that take the shortest way."""
    fast = env.compile(lambda ctx, x: (x * 2 + ctx.variable("w"), lg.sum(x, axis=0)))
    given = GIVEN[name](FLOATS)
    for k in range(6):
        x = given if first or k % 2 else FLOATS
        value, total = fast(x)
        assert (FLOATS * 2 + 1).tolist() == value.tolist()
        assert FLOATS.sum(axis=0).tolist() == total.tolist()
        assert type(value) is np.ndarray


def test_lists_and_numbers_are_part_of_the_signature(env: lg.VariableEnvironment) -> None:
    """Where an array was before, and after one."""
    fast = env.compile(lambda ctx, x: ctx.variable("w")[0, :2] * np.float32(1) + x)
    for x in (np.ones(2, "float32"), 1.0, np.ones(2, "float32"), 1.0, np.float32(1), np.ones((), "float32")):
        assert [2.0, 2.0] == fast(x).tolist()
    nested = env.compile(lambda ctx, x: ctx.variable("w")[0, :2] + x[0])
    for x in ([1.0, 5], [np.ones(2, "float32")], (np.ones(2, "float32"),), [1.0, 5]):
        assert [2.0, 2.0] == nested(x).tolist()


@pytest.mark.filterwarnings("ignore:.*computes in float64")
@pytest.mark.parametrize(
    "other",
    [3, 2.5, None, "x", [1.0], (), len, np.ones(3), np.ones(4, "float64"), np.ones((4, 1), "float32")],
    ids=repr,
)
def test_another_kind_of_argument_after_the_shortest_way_is_no_crash(env: lg.VariableEnvironment, other: Any) -> None:
    """It is another signature: computed as env.run does, or its error."""
    step = lambda ctx, x: ctx.variable("w")[0] * 1 + (x if hasattr(x, "shape") else 1)  # noqa: E731
    fast = env.compile(step)
    x = np.ones(4, "float32")
    for _ in range(3):
        fast(x)
    try:
        expected = env.run(step, other)
    except lg.errors.LazygradError as reason:
        with pytest.raises(type(reason)):
            fast(other)
    else:
        np.testing.assert_array_equal(expected, fast(other), strict=True)
    assert [2.0] * 4 == fast(x).tolist()


def test_too_few_and_too_many_arguments_after_the_shortest_way_are_errors(env: lg.VariableEnvironment) -> None:
    """As of the step itself."""
    fast = env.compile(lambda ctx, x, y: x + y)
    x = np.ones(3)
    for _ in range(3):
        fast(x, x)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        fast(x)
    with pytest.raises(TypeError, match="takes 3 positional arguments but 4 were given"):
        fast(x, x, x)
    assert [2.0, 2.0, 2.0] == fast(x, y=x).tolist()


def test_an_argument_that_is_not_read_is_compared_all_the_same(env: lg.VariableEnvironment) -> None:
    """Another shape of it is another signature."""
    traced: list[Any] = []
    fast = env.compile(lambda ctx, x, y: (traced.append(y.shape), x * 2)[1])
    for n in (1, 1, 1, 2, 2, 1):
        fast(np.ones(3), np.ones(n))
    assert [(1,), (2,)] == traced


def test_the_same_array_may_be_several_arguments(env: lg.VariableEnvironment) -> None:
    """And part of another one."""
    fast = env.compile(lambda ctx, x, y, z: (x * 2 + y, lg.sum(z) + y))
    x = FLOATS.copy()
    for _ in range(3):
        one, two = fast(x, x, x[1:])
        assert (FLOATS * 3).tolist() == one.tolist()
        assert (FLOATS + FLOATS[1:].sum()).tolist() == two.tolist()


def test_what_was_returned_may_be_given(env: lg.VariableEnvironment) -> None:
    """It stays as it was."""
    fast = env.compile(lambda ctx, x: (x * 2, ctx.assign("w", x + ctx.variable("w"))))
    x = np.ones((3, 4), "float32")
    given = [x]
    for _ in range(6):
        given.append(fast(given[-1])[0])
    assert [2.0**k for k in range(7)] == [a[0, 0] for a in given]
    assert 64.0 == env["w"][0, 0]


def test_the_very_array_of_a_variable_may_be_given(env: lg.VariableEnvironment) -> None:
    """Also that into which the new value is to be written: what is read is what was given."""
    fast = env.compile(lambda ctx, x: (x + 0, ctx.assign("w", ctx.variable("w") * 2 + x[::-1])))
    for _ in range(4):
        live = env._store.variables["w"].live(env._store.state[0])
        before = live.copy()
        assert before.tolist() == fast(live)[0].tolist()
        assert (before * 2 + before[::-1]).tolist() == env["w"].tolist()


@pytest.mark.parametrize("arguments", [(), (np.ones(2, "float32"),)], ids=["none", "one that is not read"])
@pytest.mark.parametrize("shape", [(3, 3), (0, 3)], ids=str)
def test_a_step_that_reads_variables_alone_and_calls_numpy_alone(shape: Any, arguments: Any) -> None:
    """There is no table of kernels to run at once."""
    env = lg.VariableEnvironment(seed=0)
    w = np.eye(*shape, dtype="float32") * 2
    env.name("w").set(w)
    calls = [lambda ctx, *xs: lg.floor_divide(ctx.variable("w"), 2.0), lambda ctx, *xs: lg.sort(ctx.variable("w"))]
    calls += [lambda ctx, *xs: lg.linalg.inv(ctx.variable("w"))] if shape == (3, 3) else []
    for step in calls:
        fast = env.compile(step, wait=True)
        for _ in range(4):
            np.testing.assert_array_equal(env.run(step, *arguments), fast(*arguments))


def test_an_argument_is_not_changed(env: lg.VariableEnvironment) -> None:
    """Whatever is computed of it."""
    fast = env.compile(lambda ctx, x: (lg.sort(x), x[::-1] * 2, ctx.assign("w", x), lg.at(x)[0].set(9)))
    x = FLOATS.copy()
    for _ in range(3):
        fast(x)
    assert FLOATS.tolist() == x.tolist()


def test_an_argument_that_grows_in_place_is_noticed(env: lg.VariableEnvironment) -> None:
    """Its shape is looked at in every call."""
    fast = env.compile(lambda ctx, x: lg.sum(x))
    x = np.ones(4)
    for _ in range(3):
        assert 4.0 == fast(x)
    x.resize(9, refcheck=False)
    x[:] = 1
    assert 9.0 == fast(x)
    x.resize((3, 3), refcheck=False)
    assert 9.0 == fast(x)


def test_a_converted_argument_is_free_after_the_call(env: lg.VariableEnvironment) -> None:
    """Nothing of a call is kept."""
    fast = env.compile(lambda ctx, x: x * 2)
    x = FLOATS.copy()
    for _ in range(4):
        fast(x)
        fast(x[::-1])
    assert 2 == sys.getrefcount(x)


# The kernel that takes arrays over.


def test_this_python_is_known() -> None:
    """CPython of 64 bits; elsewhere arrays are taken over in Python."""
    if sys.implementation.name != "cpython" or sys.maxsize < 2**32:
        pytest.skip("array objects are laid out as CPython of 64 bits has them")
    assert layout() is not None


def test_without_a_known_layout_arrays_are_taken_over_in_python(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same numbers."""
    monkeypatch.setattr(lower, "layout", lambda: None)
    fast = env.compile(lambda ctx, x, y: (x * 2 + y[1:], lg.exp(lg.broadcast_to(x, (2000, 3))), ctx.assign("w", y[:3])))
    x, y = np.ones(3, "float32"), np.ones((4, 4), "float32")
    fast = env.compile(lambda ctx, x, y: (y * 2, lg.exp(lg.broadcast_to(x, (2000, 3))), ctx.assign("w", y[1:] + x[0])))
    for k in range(4):
        double, large, _ = fast(x * k, y * k)
        assert (2.0 * k, 2.0 * k) == (double[0, 0], env["w"][0, 0])
        np.testing.assert_allclose(np.exp(k), large, rtol=1e-6)
    assert fast.is_native


def test_a_layout_that_is_not_the_known_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes tell."""
    monkeypatch.setattr(arguments, "_matches", lambda found, array: array.ndim == 2)
    assert layout.__wrapped__() is None


def test_what_is_compared_is_listed_beside_the_arrays() -> None:
    """The type, and the dtypes."""
    moving = [Moving(Spec((2,), np.dtype("float32")), ()), Moving(Spec((), np.dtype("int64")), ())]
    assert [id(np.ndarray), id(np.dtype("float32")), id(np.dtype("int64"))] == expected(moving)


def test_the_kernel_writes_an_address_wherever_it_is_read() -> None:
    """Moved by a view's start."""
    found = layout()
    assert found is not None
    text = taking([Moving(Spec((2, 3), np.dtype("float32")), ((0, 0), (4, 24)))], found)
    assert 2 == text.count("store ptr")
    assert "i64 24" in text


@pytest.mark.parametrize("name", GIVEN)
def test_native_code_refuses_an_array_that_is_not_what_it_was_made_for(env: lg.VariableEnvironment, name: str) -> None:
    """The shortest way returns nothing for it, rather than reading what is not there."""
    fast = env.compile(lambda ctx, x: x * 2)
    for _ in range(3):
        fast(FLOATS)
    bound = next(iter(fast._last.runner.native._bindings.values()))  # type: ignore[union-attr]
    assert isinstance(bound, Binding)
    quick = bound.quick([0])
    assert quick is not None
    given = GIVEN[name](FLOATS)
    plain = type(given) is np.ndarray and given.flags.c_contiguous and given.flags.aligned
    fits = plain and given.dtype is FLOATS.dtype
    found = quick([given])
    assert ((FLOATS * 2).tolist() if fits else None) == (found and found[0].tolist())
    for other in (None, 3, "x", [1.0], FLOATS[:2], FLOATS[None], FLOATS.astype("float64"), FLOATS.astype("int32")):
        assert quick([other]) is None
