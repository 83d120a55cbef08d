"""What the tests of optimizers share: every kind of one, and two ways to run a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lazygrad as lg

# Every optimizer that moves each parameter by itself, with momentum and weight decay where it has them.
KINDS: dict[str, Callable[..., Any]] = {
    "SGD": lambda env, **given: lg.optim.SGD(env, 0.1, momentum=0.9, **given),
    "AdaGrad": lambda env, **given: lg.optim.AdaGrad(env, 0.1, **given),
    "RMSprop": lambda env, **given: lg.optim.RMSprop(env, 0.1, momentum=0.5, **given),
    "Adam": lambda env, **given: lg.optim.Adam(env, 0.1, **given),
    "AdamW": lambda env, **given: lg.optim.AdamW(env, 0.1, **given),
    "Lion": lambda env, **given: lg.optim.Lion(env, 0.1, **given),
    "RAdam": lambda env, **given: lg.optim.RAdam(env, 0.1, **given),
    "NAdam": lambda env, **given: lg.optim.NAdam(env, 0.1, **given),
    "Lamb": lambda env, **given: lg.optim.Lamb(env, 0.1, **given),
    "Adafactor": lambda env, **given: lg.optim.Adafactor(env, 0.1, **given),
    "Muon": lambda env, **given: lg.optim.Muon(env, 0.1, **given),
}
DECAYING = ["SGD", "AdamW", "Lion", "RAdam", "NAdam", "Lamb", "Adafactor", "Muon"]


def runner(env: lg.VariableEnvironment, step: Callable[..., Any], way: str) -> Callable[..., Any]:
    """The step as a function of its arrays: run, or compiled to native code."""
    return env.compile(step, wait=True) if way == "compile" else lambda *args: env.run(step, *args)
