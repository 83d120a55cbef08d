"""Optimizers against their formulas in NumPy, against PyTorch's numbers, and in half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimizer_formulas import CASES

import lazygrad as lg

SHAPES: dict[str, tuple[int, ...]] = {
    "scalar": (),
    "vector": (5,),
    "matrix": (3, 4),
    "empty": (0, 2),
    "deep": (2, 1, 3),
}
# Steps of float32 arithmetic round by 2⁻²⁴ each; some twenty roundings a step over twenty steps stay below this.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


@pytest.mark.parametrize("compiled", [False, True], ids=["run", "compile"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_an_optimizer_follows_its_formula_for_twenty_steps(name: str, dtype: str, compiled: bool) -> None:
    """Parameters of several shapes, gradients that change sign and size, against a reference in float64."""
    make, reference = CASES[name]
    rng = np.random.default_rng(4)
    env = lg.VariableEnvironment(dtype="float64")
    start = {n: rng.normal(size=shape).astype(dtype) for n, shape in SHAPES.items()}
    for n, array in start.items():
        env.name(n).set(array)
    optimizer = make(env)
    references = {n: reference(array.astype("float64")) for n, array in start.items()}
    for r in references.values():
        next(r)

    def step(ctx: lg.Context, grads: Any) -> Any:
        return optimizer.update([ctx.variable(n) for n in SHAPES], [grads[n] for n in SHAPES])

    fast = env.compile(step)
    for k in range(20):
        grads = {n: (rng.normal(size=shape) * 3.0 ** (k % 4 - 2)).astype(dtype) for n, shape in SHAPES.items()}
        assert (fast(grads) if compiled else env.run(step, grads)) is None
        for n, r in references.items():
            expected = r.send(grads[n].astype("float64"))
            assert env[n].dtype == dtype
            np.testing.assert_allclose(env[n], expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert optimizer.step_count == 20


# What PyTorch 2.13 makes of P in float64 with the gradients k·G in turn, k from 1 to 9, a learning rate of 0.1 and a
# decoupled weight decay of 0.05, to 13 digits; its Muon works in bfloat16.
P = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]])
G = np.array(
    [
        [[1.0, 0.5], [-0.25, 2.0], [0.75, -1.0]],
        [[-0.5, 0.25], [1.0, -1.0], [0.5, 0.125]],
        [[0.25, -0.75], [2.0, 0.5], [-1.0, 1.5]],
    ]
)
PYTORCH = {
    "AdamW": [[0.619874101924, -2.094182113627], [0.0337881604799, 2.531653257628], [-1.683772275853, 0.2339266330785]],
    "RAdam": [
        [0.6669274533962, -2.024680984455],
        [-0.2813247795777, 2.29468371943],
        [-1.681002760844, 0.2333373479101],
    ],
    "NAdam": [
        [0.653625649676, -2.008242485973],
        [-0.06272426200302, 2.565404805526],
        [-1.605522708502, 0.09071129820328],
    ],
    "Adafactor": [
        [0.6065482226779, -1.821602896722],
        [-0.6019925887809, 2.629045159079],
        [-1.96574559867, -0.1441634687691],
    ],
    "Muon": [[0.8560634731276, -1.954277586716], [0.3153500038025, 2.798727398452], [-1.499576948731, 0.1669073798854]],
}


@pytest.mark.parametrize("name", PYTORCH)
def test_an_optimizer_moves_as_that_of_pytorch(name: str) -> None:
    """Nine updates of a matrix."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set(P)
    momentum = {"momentum": 0.9} if name == "Muon" else {}
    optimizer = getattr(lg.optim, name)(env, 0.1, weight_decay=0.05, **momentum)
    for k in range(9):
        env.run(lambda ctx, g: optimizer.update(["p"], [g]), (k + 1) * G[k % 3])
    tolerance = 4e-3 if name == "Muon" else 2e-12
    np.testing.assert_allclose(PYTORCH[name], env["p"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_minimizing_lowers_a_loss(name: str) -> None:
    """Through the gradient of a loss, with every optimizer."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.array([3.0, -2.0], "float32"))
    optimizer = CASES[name][0](env)

    def step(ctx: lg.Context) -> Any:
        loss = lg.sum(lg.square(ctx.variable("w") - 1.0))
        return loss, optimizer.minimize(loss)

    losses = [float(env.run(step)[0]) for _ in range(30)]
    assert losses[-1] < losses[0]
    assert losses[0] == 13.0


# Half precision.

HALVES = [
    lambda env: lg.optim.SGD(env, 0.1),
    lambda env: lg.optim.SGD(env, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda env: lg.optim.AdaGrad(env),
    lambda env: lg.optim.RMSprop(env),
    lambda env: lg.optim.RMSprop(env, momentum=0.9),
    lambda env: lg.optim.Adam(env),
    lambda env: lg.optim.AdamW(env),
    lambda env: lg.optim.Lion(env, weight_decay=0.01),
    lambda env: lg.optim.RAdam(env, weight_decay=0.01),
    lambda env: lg.optim.NAdam(env, weight_decay=0.01),
    lambda env: lg.optim.Lamb(env, weight_decay=0.01),
    lambda env: lg.optim.Adafactor(env),
    lambda env: lg.optim.Muon(env),
]


def half_updates(optimizer, dtype, gradients, way):
    """A parameter after some updates, and the environment."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.array([1.0, -2.0, 0.5], dtype))
    made = optimizer(env)

    def step(ctx, g):
        return made.update(["w"], [g])

    run = env.compile(step, wait=True) if way == "compile" else lambda g: env.run(step, g)
    for g in gradients:
        run(np.asarray(g, dtype))
    return env["w"], env


@pytest.mark.parametrize("way", ["run", "compile"])
@pytest.mark.parametrize("optimizer", HALVES)
def test_a_half_parameter_takes_the_update_of_float32(optimizer, way):
    """With zero gradients too, where ε is all that is divided by, and with ones whose square is no half."""
    gradients = [[0.0, 0.0, 0.0], [1e-4, 0.0, 300.0], [0.0, 1e-4, -300.0]]
    half, _ = half_updates(optimizer, "float16", gradients[:1], way)
    single, _ = half_updates(optimizer, "float32", gradients[:1], way)
    assert np.array_equal(single.astype("float16"), half)
    half, _ = half_updates(optimizer, "float16", gradients, way)
    single, _ = half_updates(optimizer, "float32", np.asarray(gradients, "float16"), way)
    assert np.allclose(single, half, rtol=3 * 2.0**-11, atol=0)  # rounded to a half three times


def test_the_state_of_a_half_parameter_is_kept_in_float32():
    """So that what is added up in it does not stop growing."""
    _, env = half_updates(HALVES[5], "float16", [[1.0, 1.0, 1.0]], "run")
    assert ("float32", "float32", "float16") == tuple(env[n].dtype for n in ("adam/w/m", "adam/w/v", "w"))


def test_a_users_optimizer_computes_with_a_half_parameter_in_float32():
    """Its step gets float32 throughout; what it returns is cast to the parameter."""
    seen = []

    class Plain(lg.optim.Optimizer):
        slots = ("total",)

        def step(self, p, g, state, settings):
            seen.append([p.dtype, g.dtype, state["total"].dtype, settings["learning_rate"].dtype])
            return p - settings["learning_rate"] * g, {"total": state["total"] + g}

    w, _ = half_updates(lambda env: Plain(env, {"learning_rate": 0.5}), "float16", [[1.0, 2.0, 4.0]], "run")
    assert [["float32"] * 4] == seen
    assert "float16" == w.dtype
    assert np.array_equal([0.5, -3.0, -1.5], w)
