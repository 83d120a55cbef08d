"""What is told: the text of an error, compared literally but for the line of the test itself, which is looked up.

Every public entry answers wrong input with one exception of lazygrad, in four parts, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from snapshots import snapshot

import lazygrad as lg

NO_VALUE = "it has no value while the graph is being written"
WHERE = "Write lg.where(condition, a, b) instead of if, or return it and look at the array."
ENDED = (
    "A tensor lives as long as the call of the step that made it. Compute what you need inside the step, and return it."
)


def message(env: lg.VariableEnvironment, kind: type[lg.LazygradError], call: Callable[[], Any]) -> str:
    """What ``call`` raises; it is of exactly this kind, and leaves the environment as it was."""
    before = snapshot(env)
    with pytest.raises(lg.LazygradError) as caught:
        call()
    assert type(caught.value) is kind
    assert snapshot(env) == before
    env.run(lambda ctx: ctx.variable("w"))  # and usable
    return str(caught.value)


def of_step(env: lg.VariableEnvironment, kind: type[lg.LazygradError], step: Callable[..., Any], *args: Any) -> str:
    """What a step raises while it is written: the same under run, compile and trace."""
    first = message(env, kind, lambda: env.run(step, *args))
    assert first == message(env, kind, lambda: env.run(step, *args))
    assert first == message(env, kind, lambda: env.compile(step)(*args))
    assert first == message(env, kind, lambda: env.trace(step, *args))
    return first


def fed(ctx: lg.Context) -> Any:
    """A step with a placeholder."""
    return ctx.placeholder("image", (2, 3)) * 2


def kept_tensor(env: lg.VariableEnvironment) -> lg.Tensor:
    """A tensor of a call that has ended."""
    kept: list[lg.Tensor] = []

    def keeping(ctx: lg.Context) -> Any:
        kept.append(ctx.variable("b"))
        return kept[0]

    env.run(keeping)
    return kept[0]
