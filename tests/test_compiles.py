"""Why a step compiled again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg

X = np.ones((32, 3), "f4")
scale = 1.0


class Settings:
    """An object that a step reads."""

    rate = 1


settings = Settings()


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """With a variable."""
    made = lg.VariableEnvironment(seed=0)
    made.name("w").set(np.ones(3, "f4"))
    return made


def test_every_compilation_has_its_reason(env: lg.VariableEnvironment) -> None:
    """Shape, dtype, number and what is read, each beside what it was in the call most like it."""
    global scale
    scale = 1.0

    @env.compile
    def step(ctx: Any, x: Any, power: int = 2) -> Any:
        return lg.sum(scale * x**power * ctx.variable("w"))

    assert "step has not been compiled yet: call it once" == step.explain_compiles()
    step(X)
    step(2 * X)
    assert (
        "step has been compiled once\n"
        "   1  the first call: argument 'x' float32[32, 3], 'scale', which it reads, 1.0" == step.explain_compiles()
    )
    step(X[:20])
    step(X.astype("f2"))
    step(X, 3)
    step(X[:20], 3)
    scale = 2.0
    step(X, 3)
    lines = step.explain_compiles().splitlines()
    assert "step has been compiled 6 times" == lines[0]
    assert [
        "   2  argument 'x' is float32[20, 3], where it was float32[32, 3]",
        "   3  argument 'x' is float16[32, 3], where it was float32[32, 3]",
        "   4  argument 'power' is new, 3",
        "   5  argument 'x' is float32[20, 3], where it was float32[32, 3]",
        "   6  'scale', which it reads, is 2.0, where it was 1.0",
    ] == lines[2:]


def test_variables_and_objects_are_reasons_too(env: lg.VariableEnvironment) -> None:
    """What was frozen, and which object is another one."""
    global settings
    settings = Settings()

    @env.compile
    def step(ctx: Any, x: Any) -> Any:
        return lg.sum(x * settings.rate * sum(ctx.variables()))

    step(X)
    env.name("v").set(np.ones(3, "f4"))
    step(X)
    settings = Settings()
    step(X)
    lines = step.explain_compiles().splitlines()
    assert "   2  a variable was registered, frozen or thawed, or an optimizer got another schedule" == lines[2]
    assert "   3  another object stands where it reads 'settings'" == lines[3]


def test_the_form_of_arguments_and_feeds_are_reasons_too(env: lg.VariableEnvironment) -> None:
    """A list in place of a tuple, a name in place of a position, another order of keys; the shape of what is fed."""

    def step(ctx: Any, x: Any, n: int = 2) -> Any:
        return sum(lg.sum(part) for part in (x.values() if isinstance(x, dict) else x)) * n

    x, fast = np.ones(3, "f4"), env.compile(step)
    for given in ([x, x], (x, x), {"a": x, "b": x}, {"b": x, "a": x}):
        fast(given, 3)
    fast((x, x), n=3)
    said = fast.explain_compiles().splitlines()
    assert "argument 'x' as a whole is a tuple of 2, where it was a list of 2" in said[2]
    assert "argument 'x' as a whole is a dict with 'b', 'a', where it was a dict with 'a', 'b'" in said[4]
    assert "argument 'n' is given by name, where it was given by position" in said[5]
    fed = env.compile(lambda ctx: lg.sum(ctx.placeholder("p", (-1,))))
    fed(feeds={"p": x})
    fed(feeds={"p": x[:2]})
    assert "feed 'p' is of shape (2,), where it was of shape (3,)" in fed.explain_compiles()


def test_what_is_told_of_one_compilation_is_short(env: lg.VariableEnvironment) -> None:
    """Of twenty arguments the first few; and a call is compared with one of as many axes, if it can be."""
    fast = env.compile(lambda ctx, x: lg.sum(x[0] if isinstance(x, list) else x))
    fast([np.float32(k) for k in range(20)])
    for x in (np.ones((2, 3)), np.ones(3), np.ones((5, 4))):
        fast(x)
    said = fast.explain_compiles().splitlines()
    assert said[1].endswith("and 12 more")
    assert "argument 'x' is float64[5, 4], where it was float64[2, 3]" in said[4]


def test_only_the_last_ones_are_kept(env: lg.VariableEnvironment) -> None:
    """Of a step that is compiled again and again; they keep their numbers."""
    from lazygrad.step.signatures import PATHS, Signatures

    signatures = Signatures(lambda ctx, n: n)
    for n in range(PATHS + 5):
        signatures.say((n,), {}, None, {}, 0)
    lines = signatures.told("step").splitlines()
    assert (PATHS + 1, "   6  argument 'n' is 5, where it was 4") == (len(lines), lines[1])
