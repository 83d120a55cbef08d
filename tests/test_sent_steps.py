"""Compiled steps that find layers, optimizers and variables in global names or cells, copied and pickled."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

ONES = np.ones((4, 3), "float32")
WAYS: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {k}": lambda x, k=k: pickle.loads(pickle.dumps(x, k)) for k in range(pickle.HIGHEST_PROTOCOL + 1)},
    "copied twice": lambda x: copy.copy(pickle.loads(pickle.dumps(copy.deepcopy(x)))),
}

env = lg.VariableEnvironment(seed=3)
layer = lg.nn.Linear(env, 3, 2, name="layer")
norm = lg.nn.BatchNorm(env, 2, name="norm")
scale = env.name("scale").set(np.ones(2, "float32"))
adam = lg.optim.average(lg.optim.Adam(env, 0.1), 0.9)


def found_by_name(ctx: Any, x: Any, factor: float = 1.0) -> Any:
    """A step of a program."""
    loss = lg.mean(lg.square(norm(layer(x), train=True) * scale * factor - ctx.random.normal((4, 2))))
    slope = lg.grad(loss, scale)
    return loss, slope, adam.minimize(loss, [*layer.variables, scale]), ctx.updates()


def contents(of: lg.VariableEnvironment) -> dict[str, bytes]:
    """Every bit of it."""
    return {path: array.tobytes() for path, array in of.to_dict().items()}


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_step_trains_its_copy(way: str) -> None:
    """As the original would have gone on, which is as it was; also with settings given for good."""
    compiled = env.compile(found_by_name, wait=True)
    compiled(ONES)
    before, made = contents(env), WAYS[way](compiled)
    assert before == contents(made._env)
    results = [made(ONES), made.bound(factor=2.0)(ONES), made.bound(factor=2.0)(ONES)]
    assert before == contents(env)
    assert (env, env) == (layer._env, adam.env)
    for (loss, slope, *_), again in zip(results, (compiled, *[compiled.bound(factor=2.0)] * 2), strict=True):
        ours, own, *_ = again(ONES)
        assert (float(ours), own.tolist()) == (float(loss), slope.tolist())
    assert contents(env) == contents(made._env)


def test_settings_and_frozen_variables_are_those_of_the_copy() -> None:
    """Whatever becomes of the original."""
    made = pickle.loads(pickle.dumps(env.compile(found_by_name)))
    made._env._store.find("layer/bias").trainable = False
    made._env["adam/learning_rate"] = 0.0
    before = made._env.to_dict()
    made(ONES)
    after = made._env.to_dict()
    assert {p for p in before if not np.array_equal(before[p], after[p])} & {"layer/weight", "layer/bias"} == set()
    assert int(after["adam/step"]) == int(before["adam/step"]) + 1


def test_a_copied_step_is_looked_through_and_solved() -> None:
    """By all that writes it once more."""
    made = copy.deepcopy(env.compile(lambda ctx, x: lg.sum(lg.square(layer(x) - 1))))
    assert made.find("nan", ONES) is None
    assert made.profile(ONES, runs=1).rows()
    before = contents(env)
    lg.optimize.minimize(made, ONES)
    assert float(made(ONES)) < 1e-3
    assert before == contents(env)


def test_what_is_of_two_environments_is_refused_in_a_copied_step() -> None:
    """The first that is met stands for the step's own; the other one is told."""
    stranger = lg.VariableEnvironment(seed=0).name("stranger").set(np.float32(1))
    made = copy.deepcopy(env.compile(lambda ctx, x: lg.sum(layer(x)) * stranger))
    with pytest.raises(lg.GraphError, match=r"cannot read <Variable 'stranger' float32\[\]>: it is of another"):
        made(ONES)


def test_an_environment_that_is_copied_alone_does_not_have_the_layers() -> None:
    """A step that mixes the two would read one of them twice; the message says what to do."""
    with pytest.raises(lg.GraphError, match="Copy, or pickle, the two together"):
        env.copy().run(lambda ctx: layer(ONES))
    with pytest.raises(lg.GraphError, match="or copy, or pickle, the two together"):
        env.copy().run(lambda ctx: adam.minimize(lg.sum(ctx.variable("scale"))))
