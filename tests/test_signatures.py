"""What a compiled step says of the kinds of its arguments: when there are too many, and when one is wrong."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.step.signatures import MANY, Signatures


def step(ctx: Any, x: Any, y: Any = None, *rest: Any, scale: Any = 1) -> Any:
    """A step with arguments of every kind."""


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with one variable."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    return env


def notes(signatures: Signatures, *args: Any, **kwargs: Any) -> list[str]:
    """What is added to an error of a call with these arguments."""
    reason = ValueError("wrong")
    signatures.explain(reason, args, kwargs)
    return list(getattr(reason, "__notes__", []))


def test_an_error_notes_which_argument_differs() -> None:
    """And what the step was compiled for before."""
    known = Signatures(step)
    known.add((np.ones((2, 3), "float32"), 4), {"scale": 2.0})
    found = notes(known, np.ones((2, 4), "float32"), 4, scale=2.0)
    assert ["argument 'x' is float32[2, 4]; the step was compiled for float32[2, 3]"] == found


def test_every_argument_that_differs_is_noted() -> None:
    """By the names that the step gives them."""
    known = Signatures(step)
    known.add((np.ones(2), 4, "a"), {"scale": 2.0})
    found = notes(known, np.ones(2, "int64"), 5, "b", scale=3.0)
    assert [
        "argument 'x' is int64[2]; the step was compiled for float64[2]",
        "argument 'y' is 5; the step was compiled for 4",
        "argument 'rest[0]' is 'b'; the step was compiled for 'a'",
        "argument 'scale' is 3.0; the step was compiled for 2.0",
    ] == found


def test_a_part_of_an_argument_is_named_by_its_place() -> None:
    """In lists, tuples and dicts."""
    known = Signatures(step)
    known.add(({"a": [np.ones(2), np.ones(3)]},), {})
    (note,) = notes(known, {"a": [np.ones(2), np.ones(4)]})
    assert note.startswith("argument \"x['a'][1]\" is float64[4]") or note.startswith(
        "argument 'x['a'][1]' is float64[4]"
    )


def test_nothing_is_noted_of_what_is_known_or_new() -> None:
    """Of arguments alike, and of the first call."""
    known = Signatures(step)
    assert [] == notes(known, np.ones(2))
    known.add((np.ones(2),), {})
    known.add((np.ones(3),), {})
    assert [] == notes(known, np.ones(2))
    assert [] == notes(known, np.ones(3))


def test_the_last_three_kinds_are_listed() -> None:
    """Of more, the latest."""
    known = Signatures(step)
    for n in range(1, 6):
        known.add((np.ones(n),), {})
    (note,) = notes(known, np.ones(9))
    assert "argument 'x' is float64[9]; the step was compiled for float64[3], float64[4], float64[5]" == note


def test_more_than_eight_kinds_of_an_argument_warn_once() -> None:
    """Naming the step and the argument, with how to stop it."""
    known = Signatures(step)
    for n in range(1, MANY + 1):
        known.add((np.ones(n), 0), {})
    match = r"step has been compiled for more than 8 kinds of argument 'x', lately .*float64\[9\].*pad or drop"
    with pytest.warns(RuntimeWarning, match=match):
        known.add((np.ones(9), 0), {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(10, 30):
            known.add((np.ones(n), n), {})


def test_eight_kinds_of_each_of_two_arguments_do_not_warn() -> None:
    """Kinds are counted by argument."""
    known = Signatures(step)
    for n in range(1, MANY + 1):
        for m in range(1, MANY + 1):
            known.add((np.ones(n), m), {})


def test_a_step_without_a_signature_has_arguments_all_the_same() -> None:
    """They are named by their places."""
    known = Signatures(max)
    known.add((np.ones(2),), {})
    (note,) = notes(known, np.ones(3))
    assert "float64[3]; the step was compiled for float64[2]" in note


def test_a_long_value_is_cut() -> None:
    """A note stays a line."""
    known = Signatures(step)
    known.add(("a" * 1000,), {})
    (note,) = notes(known, "b" * 1000)
    assert len(note) < 150


def test_the_warning_names_the_users_line(env: lg.VariableEnvironment) -> None:
    """Of the call with the ninth kind."""
    fast = env.compile(lambda ctx, x: lg.sum(x))
    for n in range(1, MANY + 1):
        fast(np.ones(n))
    with pytest.warns(RuntimeWarning, match="argument 'x'") as caught:
        fast(np.ones(9))
    assert [__file__] == [w.filename for w in caught]


def test_a_warning_that_is_an_error_does_not_stop_the_step_from_being_known(env: lg.VariableEnvironment) -> None:
    """It is an error of a call whose updates are not made, as of every call that raises."""
    fast = env.compile(lambda ctx, x: (lg.sum(x), ctx.assign("w", ctx.variable("w") + 1)))
    for n in range(1, MANY + 1):
        fast(np.ones(n))
    before = env["w"].tolist()
    with pytest.raises(RuntimeWarning):
        fast(np.ones(9))
    assert before == env["w"].tolist()


def test_an_error_of_a_compiled_call_has_the_note(env: lg.VariableEnvironment) -> None:
    """Beside its own message."""
    fast = env.compile(lambda ctx, x: x @ lg.reshape(ctx.variable("w"), (3, 1)))
    fast(np.ones((2, 3), "float32"))
    with pytest.raises(lg.errors.SpecError) as caught:
        fast(np.ones((2, 4), "float32"))
    assert "argument 'x' is float32[2, 4]; the step was compiled for float32[2, 3]" in caught.value.__notes__


def test_an_error_of_the_first_call_has_no_note(env: lg.VariableEnvironment) -> None:
    """There is nothing to compare with."""
    with pytest.raises(lg.errors.SpecError) as caught:
        env.compile(lambda ctx, x: x @ ctx.variable("w"))(np.ones((2, 4), "float32"))
    assert not any("was compiled for" in note for note in getattr(caught.value, "__notes__", []))


def test_kinds_of_an_argument_are_not_remembered_without_end() -> None:
    """Dictionaries with ever new keys, and ever new numbers."""
    known = Signatures(lambda ctx, x: x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in range(2000):
            known.add(({f"key {n}": n},), {})
            known.add((n,), {})
    assert sum(map(len, known._seen.values())) < 1000
