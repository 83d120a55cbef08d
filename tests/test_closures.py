"""What a compiled step reads beside its arguments is compared at each call."""

from __future__ import annotations

import functools
import itertools
import pickle
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.step.bytecode import Path, paths
from lazygrad.step.closures import BYTES, Closure

X = np.arange(3.0)
rate: Any = 0.5
settings = types.SimpleNamespace(rate=2.0, inner=types.SimpleNamespace(rate=3.0))
module = types.ModuleType("of_the_user")
LOG: list[Any] = []


def helper(x: Any) -> Any:
    """A function that a step calls."""
    return x * rate


class Model:
    """An object with a method that is a step."""

    scale = 2.0

    def __init__(self) -> None:
        self.rate: Any = 1.0
        self.table = {"a": [1.0, 2.0]}

    @property
    def twice(self) -> Any:
        """Computed of what may change."""
        return 2 * self.rate

    def factor(self) -> Any:
        """A method that a method calls."""
        return self.rate

    def step(self, ctx: Any, x: Any) -> Any:
        """The step."""
        return x * self.factor() + self.scale + self.table["a"][1] + self.twice

    def __call__(self, ctx: Any, x: Any) -> Any:
        """The same as an object that is called."""
        return self.step(ctx, x)


@dataclass(slots=True)
class Slots:
    """Settings without a dict."""

    rate: float = 1.0


class Counted:
    """A compiled step, and how often it was traced."""

    def __init__(self, step: Callable[..., Any], **settings: Any) -> None:
        self.env = lg.VariableEnvironment(dtype="float64")
        self.fast = self.env.compile(step, **settings)
        self.step = step

    def __call__(self, x: Any = X) -> Any:
        """What the compiled step gives, which is what the step gives when it is written anew."""
        results = [self.fast(x) for _ in range(3)]
        for result in results:
            np.testing.assert_array_equal(self.env.run(self.step, x), result)
        return results[0]

    @property
    def count(self) -> int:
        """For how many kinds it was compiled."""
        return len(self.fast._entries)


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    yield
    globals()["rate"] = 0.5
    settings.rate, settings.inner.rate, Model.scale = 2.0, 3.0, 2.0
    LOG.clear()


def test_a_global_that_has_changed_is_read_anew() -> None:
    """One that the step names, and one that a function names which it calls."""
    for step in (lambda ctx, x: x * rate, lambda ctx, x: helper(x), lambda ctx, x: sum(helper(x) for _ in range(1))):
        fast = Counted(step)
        for value in (0.5, 2.0, np.float64(3.0), 4):
            globals()["rate"] = value
            np.testing.assert_array_equal(X * value, fast())


def test_a_variable_of_the_function_around_it_is_read_anew() -> None:
    """Also by a function in between, and by one inside the step."""
    scale = 1.0

    def inner(x: Any) -> Any:
        return x * scale

    fast = Counted(lambda ctx, x: (lambda: inner(x) + scale)())
    for value in (1.0, 2.0, 3):
        scale = value
        np.testing.assert_array_equal(X * value + value, fast())


def test_attributes_of_modules_and_objects_are_read_anew() -> None:
    """However long the path to them is, with slots and without."""
    module.rate, slots = 1.0, Slots()  # type: ignore[attr-defined]
    fast = Counted(lambda ctx, x: x * module.rate * settings.rate + settings.inner.rate * slots.rate)
    before = fast()
    for owner in (module, settings, settings.inner, slots):
        owner.rate = 5.0  # type: ignore[union-attr]
        after = fast()
        assert (before != after).any()
        before = after
    settings.inner = types.SimpleNamespace(rate=9.0)
    assert (before != fast()).any()
    settings.inner = types.SimpleNamespace(rate=3.0)


@pytest.mark.parametrize("form", ["method", "object", "function"])
def test_what_an_object_has_is_read_anew(form: str) -> None:
    """By a step that is its method, that it is itself, or that calls its method; through properties as well."""
    model = Model()
    fast = Counted({"method": model.step, "object": model, "function": lambda ctx, x: model.step(ctx, x)}[form])
    seen = [fast()]
    model.rate = 7.0
    seen.append(fast())
    model.table["a"][1] = 11.0
    seen.append(fast())
    Model.scale = -1.0
    seen.append(fast())
    model.table = {"a": [0.0, 0.0]}
    seen.append(fast())
    assert all((one != other).any() for one, other in itertools.pairwise(seen))


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1.0, 2.0], lambda v: v.append(3.0)),
        ([1.0, [2.0]], lambda v: v[1].__setitem__(0, 5.0)),
        (([1.0], 2.0), lambda v: v[0].append(1.0)),
        ({"a": 1.0}, lambda v: v.update(a=2.0)),
        ({"a": {"b": (1, [2])}}, lambda v: v["a"]["b"][1].append(2)),
        ({1.0, 2.0}, lambda v: v.add(7.0)),
        (np.ones(3), lambda v: v.__setitem__(1, 9.0)),
        ([np.ones(3)], lambda v: v[0].__setitem__(1, 9.0)),
    ],
    ids=["list", "nested list", "list in a tuple", "dict", "nested dict", "set", "array", "array in a list"],
)
def test_a_container_that_has_changed_is_read_anew(value: Any, change: Any) -> None:
    """Lists, dicts, sets and small arrays, changed in their place, however they come into the step."""

    def total(v: Any) -> Any:
        if isinstance(v, dict):
            return total(list(v.values()))
        return sum(map(total, v)) if isinstance(v, (list, tuple, set)) else np.sum(v)

    def given(ctx: Any, x: Any, v: Any = value) -> Any:
        return x * float(total(v))

    def named(ctx: Any, x: Any, *, v: Any = value) -> Any:
        return x * float(total(v))

    def partly(v: Any, ctx: Any, x: Any) -> Any:
        return x * float(total(v))

    steps = [lambda ctx, x: x * float(total(value)), given, named, functools.partial(partly, value)]
    many = [Counted(step) for step in steps]
    before = [fast() for fast in many]
    change(value)
    for one, fast in zip(before, many, strict=True):
        assert (one != fast())[1:].all()


def test_another_array_is_read_and_a_large_one_that_is_changed_in_its_place_is_not() -> None:
    """As docs/native.md says: comparing much at each call would cost too much."""
    large = np.zeros(BYTES // 8 + 1)
    fast = Counted(lambda ctx: ctx.constant(large)[0])
    assert fast.fast() == 0
    large[0] = 1
    assert fast.fast() == 0
    large = large.copy()
    assert fast.fast() == 1


def test_a_function_that_is_written_anew_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a cell of a notebook is run again."""
    fast = Counted(lambda ctx, x: helper(x))
    fast()
    monkeypatch.setitem(globals(), "helper", lambda x: x - 1)
    np.testing.assert_array_equal(X - 1, fast())
    layers = [lg.nn.relu, lg.tanh]
    fast = Counted(lambda ctx, x: layers[0](x - 1))
    fast()
    layers.reverse()
    np.testing.assert_array_equal(np.tanh(X - 1), fast())


def test_what_comes_again_is_not_traced_again() -> None:
    """Numbers that take turns have a trace each."""
    fast = Counted(lambda ctx, x: x * rate)
    for value in (1.0, 2.0) * 5:
        globals()["rate"] = value
        fast()
    assert fast.count == 2


def test_an_equal_value_is_not_traced_again() -> None:
    """Another object of the same value, NaN among them; but 1, 1.0 and True are not the same."""
    fast = Counted(lambda ctx, x: x * rate)
    for value in (float("nan"), float("nan"), 10**20 * 1.0, float(10**20)):
        globals()["rate"] = value
        fast.fast(X)
    assert fast.count == 2
    for value in (1, 1.0, True):
        globals()["rate"] = value
        np.testing.assert_array_equal(X, fast())
    assert fast.count == 5


def test_what_the_step_itself_changes_is_not_compared() -> None:
    """A list of how often it was traced, and a counter."""
    traced: list[int] = []
    count = 0

    def step(ctx: Any, x: Any) -> Any:
        nonlocal count
        count += 1
        traced.append(count)
        return x + 1

    fast = lg.VariableEnvironment().compile(step)
    for x in (X, X[:2], X, X[:2], X):
        fast(x)
    assert count == 2


def test_what_a_hook_reads_and_writes_is_its_own() -> None:
    """It is called in every run, so that nothing of it is in the graph."""
    turn = 0

    def step(ctx: Any, x: Any) -> Any:
        x.hook(lambda value: LOG.append((turn, value)))
        return x * rate

    fast = lg.VariableEnvironment().compile(step)
    for number in range(4):
        turn = number
        fast(X)
    assert [0, 1, 2, 3] == [number for number, _ in LOG]
    assert len(fast._entries) == 1


def test_a_global_that_is_gone_is_missed_as_in_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is Python's own; and when it is there again, the step runs."""
    fast = Counted(lambda ctx, x: x * rate)
    fast()
    monkeypatch.delitem(globals(), "rate")
    with pytest.raises(NameError, match="rate"):
        fast.fast(X)
    monkeypatch.undo()
    np.testing.assert_array_equal(X * 0.5, fast())


def test_native_code_is_not_run_for_another_value() -> None:
    """The quick way compares too."""
    fast = Counted(lambda ctx, x: x * rate + x, wait=True)
    for value in (1.0, 2.0, 1.0):
        globals()["rate"] = value
        np.testing.assert_array_equal(X * value + X, fast())


def test_variables_do_not_lose_an_update_when_a_value_changes() -> None:
    """The state goes on under the new trace."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(0.0)
    fast = env.compile(lambda ctx: ctx.assign("w", ctx.variable("w") + rate), wait=True)
    for value in (1.0, 1.0, 10.0, 10.0, 1.0):
        globals()["rate"] = value
        fast()
    assert float(env["w"]) == 23.0


def test_a_value_that_changes_at_each_call_is_named_in_a_warning() -> None:
    """It says what changes, and what to do."""
    fast = lg.VariableEnvironment().compile(lambda ctx, x: x * rate)

    def calls() -> None:
        for value in range(12):
            globals()["rate"] = value
            fast(X)

    with pytest.warns(RuntimeWarning, match="more than 8 kinds of 'rate', which it reads, lately 6, 7, 8"):
        calls()


def test_fit_sees_a_value_that_has_changed_between_two_calls() -> None:
    """A regularisation that is a global."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.zeros(1))
    sgd = lg.optim.SGD(env, learning_rate=0.1)

    def step(ctx: Any, x: Any) -> Any:
        w = ctx.variable("w")
        loss = lg.mean(lg.square(w - rate)) + 0 * lg.sum(x)
        return {"loss": loss, "update": sgd.update([w], lg.grad(loss, [w]))}

    fast = env.compile(step)
    for value in (1.0, -1.0):
        globals()["rate"] = value
        lg.fit(fast, np.zeros((8, 1)), epochs=30, batch_size=4, progress=False)
        np.testing.assert_allclose(env["w"], value, atol=1e-3)


def test_a_copy_and_a_pickle_compare_for_themselves() -> None:
    """They are compiled anew."""
    fast = lg.VariableEnvironment().compile(stepped)
    assert fast(X[1:2]).tolist() == [0.5]
    again = pickle.loads(pickle.dumps(fast))
    globals()["rate"] = 3.0
    assert again(X[1:2]).tolist() == fast(X[1:2]).tolist() == [3.0]


def stepped(ctx: Any, x: Any) -> Any:
    """A step that can be pickled."""
    return x * rate


def test_libraries_are_not_looked_into() -> None:
    """Nor are modules and functions of theirs compared, which nobody assigns anew."""
    closure = Closure(lambda ctx, x: lg.sum(np.abs(x)) + lg.nn.relu(x))
    closure.look()
    assert closure.same is None
    assert closure.key == ()


def test_paths_are_read_off_the_code() -> None:
    """Of globals, of cells and of a method's own object, with what is written inside."""
    outer = 1.0

    def step(self: Any, x: Any) -> Any:
        local = settings.inner.rate
        return lambda: self.a.b + outer + local

    found = set(paths(step.__code__, True))
    assert Path("global", ("settings", "inner", "rate")) in found
    assert Path("own", ("self", "a", "b")) in found
    assert Path("cell", ("outer",)) in found
    assert not any(path.names[0] in ("local", "x") for path in found)


class Scaled(lg.nn.Layer):
    """A layer of the user's, which reads an attribute of its own."""

    def __init__(self, env: Any, name: str | None = None, scale: float = 2.0) -> None:
        super().__init__(env, name)
        self.scale = scale

    def __call__(self, x: Any) -> Any:
        return x * self.scale


def test_what_a_layer_of_the_users_reads_of_itself_is_noticed() -> None:
    """Although every call of a layer goes through what marks its nodes."""
    env = lg.VariableEnvironment(seed=0)
    layer = Scaled(env, "scaled")
    fast = env.compile(lambda ctx, x: lg.sum(layer(x)))
    assert 6.0 == fast(np.ones(3, np.float32))
    layer.scale = 5.0
    assert 15.0 == fast(np.ones(3, np.float32))


def test_steps_that_are_layers_keep_the_names_of_their_arguments() -> None:
    """Those of two layers are not taken for each other's."""

    class First(lg.nn.Layer):
        """A step with two arguments."""

        def __call__(self, ctx: Any, one: Any, two: Any) -> Any:
            return one + two

    class Second(lg.nn.Layer):
        """A step with other names for them."""

        def __call__(self, ctx: Any, left: Any, right: Any) -> Any:
            return left - right

    env = lg.VariableEnvironment(seed=0)
    x = np.ones(3, np.float32)
    for kind, names in ((First, ["one", "two"]), (Second, ["left", "right"])):
        layer = kind(env)
        for step in (layer, layer.__call__):
            graph = env.trace(step, x, x)
            assert names == [node.params["name"] for node in graph.nodes if node.op.name == "placeholder"]
