"""Optimizers against their formulas in NumPy, schedules, clipping, and where their state lives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from snapshots import snapshot

import lazygrad as lg
from lazygrad.optim import schedules

# Each reference is a generator: it is sent a gradient, and yields the parameter after the step.
# They are written from the papers in float64, with the bias corrections where the papers have them.

Reference = Callable[..., Iterator[np.ndarray]]


def sgd(p: np.ndarray, rate: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> Any:
    """PyTorch's documentation of SGD, without dampening."""
    v = np.zeros_like(p)
    while True:
        g = (yield p) + weight_decay * p
        v = momentum * v + g
        p = p - rate * (g + momentum * v if nesterov else v)


def adagrad(p: np.ndarray, rate: float, eps: float = 1e-7) -> Any:
    """Duchi, Hazan and Singer 2011."""
    h = np.zeros_like(p)
    while True:
        g = yield p
        h = h + g**2
        p = p - rate * g / (np.sqrt(h) + eps)


def rmsprop(p: np.ndarray, rate: float, rho: float = 0.99, eps: float = 1e-8, momentum: float = 0.0) -> Any:
    """PyTorch's documentation of RMSprop, not centred."""
    v, u = np.zeros_like(p), np.zeros_like(p)
    while True:
        g = yield p
        v = rho * v + (1 - rho) * g**2
        u = momentum * u + g / (np.sqrt(v) + eps)
        p = p - rate * u


def adam(p: np.ndarray, rate: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, decay: float = 0.0) -> Any:
    """Kingma and Ba 2015, Algorithm 1; with decay Loshchilov and Hutter 2019, Algorithm 2 (η = 1)."""
    m, v, t = np.zeros_like(p), np.zeros_like(p), 0
    while True:
        g = yield p
        t += 1
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        p = p - rate * decay * p
        p = p - rate * m_hat / (np.sqrt(v_hat) + eps)


def lion(p: np.ndarray, rate: float, betas: Any = (0.9, 0.99), decay: float = 0.0) -> Any:
    """Chen et al. 2023, Algorithm 2."""
    m = np.zeros_like(p)
    while True:
        g = yield p
        update = np.sign(betas[0] * m + (1 - betas[0]) * g)
        p = p - rate * (update + decay * p)
        m = betas[1] * m + (1 - betas[1]) * g


def radam(p: np.ndarray, rate: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, decay: float = 0.0) -> Any:
    """PyTorch's documentation of RAdam, with decoupled weight decay."""
    b1, b2 = betas
    m, v, t = np.zeros_like(p), np.zeros_like(p), 0
    limit = 2 / (1 - b2) - 1
    while True:
        g = yield p
        t += 1
        p = p - rate * decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        rho = limit - 2 * t * b2**t / (1 - b2**t)
        if rho > 5:
            long = np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
            r = np.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            p = p - rate * m_hat * r * long
        else:
            p = p - rate * m_hat


def nadam(
    p: np.ndarray,
    rate: float = 2e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.0,
    psi: float = 4e-3,
) -> Any:
    """PyTorch's documentation of NAdam, with decoupled weight decay."""
    b1, b2 = betas
    m, v, t, product = np.zeros_like(p), np.zeros_like(p), 0, 1.0
    while True:
        g = yield p
        t += 1
        p = p - rate * decay * p
        mu = b1 * (1 - 0.5 * 0.96 ** (t * psi))
        mu_next = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
        product *= mu
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        p = p - rate * m_hat / (np.sqrt(v / (1 - b2**t)) + eps)


def lamb(p: np.ndarray, rate: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-6, decay: float = 0.0) -> Any:
    """You et al. 2020, Algorithm 2, φ the identity."""
    m, v, t = np.zeros_like(p), np.zeros_like(p), 0
    while True:
        g = yield p
        t += 1
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        r = (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        u = r + decay * p
        x, y = np.sqrt(np.sum(p**2)), np.sqrt(np.sum(u**2))
        p = p - rate * (x / y if x > 0 and y > 0 else 1.0) * u


def adafactor(p: np.ndarray, rate: float = 1e-2, power: float = 0.8, clip: float = 1.0, decay: float = 0.0) -> Any:
    """Shazeer and Stern 2018, Algorithms 4 and 5, with sums where ours has means; ε₁ = 1e-30 and ε₂ = 1e-3."""
    t = 0
    full, rows, columns = np.zeros_like(p), 0.0, 0.0

    def rms(x: np.ndarray) -> Any:
        return np.sqrt(np.mean(x**2)) if x.size else 0.0

    while True:
        g = yield p
        t += 1
        alpha = max(1e-3, rms(p)) * min(rate, t**-0.5)
        beta = 1 - t**-power
        squares = g**2 + 1e-30
        if p.ndim < 2:
            full = beta * full + (1 - beta) * squares
        elif p.size:
            rows = beta * rows + (1 - beta) * squares.sum(axis=-1, keepdims=True)
            columns = beta * columns + (1 - beta) * squares.sum(axis=-2, keepdims=True)
            full = rows @ columns / rows.sum(axis=-2, keepdims=True)
        u = g / np.sqrt(full)
        p = p - rate * decay * p
        p = p - alpha * u / max(1.0, rms(u) / clip)


def muon(p: np.ndarray, rate: float = 1e-3, momentum: float = 0.95, decay: float = 0.1) -> Any:
    """Jordan et al. 2024 as in PyTorch's documentation, with Nesterov's momentum and the length of Liu et al. 2025.

    The iteration is written on singular values, of which it is a polynomial.
    """
    if p.ndim < 2:
        yield from adam(p, rate, decay=decay)
    v = np.zeros_like(p)
    while True:
        g = yield p
        v = v + (1 - momentum) * (g - v)
        flat = (g + momentum * (v - g)).reshape(p.shape[0], int(np.prod(p.shape[1:])))
        p = p * (1 - rate * decay)
        if flat.size:
            left, s, right = np.linalg.svd(flat, full_matrices=False)
            s = s / max(np.sqrt(np.sum(s**2)), 1e-7)
            for _ in range(5):
                s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
            p = p - 0.2 * rate * np.sqrt(max(flat.shape)) * ((left * s) @ right).reshape(p.shape)


CASES: dict[str, tuple[Callable[[Any], lg.optim.Optimizer], Callable[[np.ndarray], Any]]] = {
    "SGD": (lambda env: lg.optim.SGD(env, 0.1), lambda p: sgd(p, 0.1)),
    "SGD momentum": (lambda env: lg.optim.SGD(env, 0.1, momentum=0.9), lambda p: sgd(p, 0.1, 0.9)),
    "SGD Nesterov": (
        lambda env: lg.optim.SGD(env, 0.05, momentum=0.8, nesterov=True),
        lambda p: sgd(p, 0.05, 0.8, True),
    ),
    "SGD decay": (
        lambda env: lg.optim.SGD(env, 0.1, weight_decay=0.3),
        lambda p: sgd(p, 0.1, weight_decay=0.3),
    ),
    "SGD all": (
        lambda env: lg.optim.SGD(env, 0.1, 0.9, True, 0.01),
        lambda p: sgd(p, 0.1, 0.9, True, 0.01),
    ),
    "AdaGrad": (lambda env: lg.optim.AdaGrad(env, 0.3), lambda p: adagrad(p, 0.3)),
    "AdaGrad eps": (lambda env: lg.optim.AdaGrad(env, 0.3, eps=0.1), lambda p: adagrad(p, 0.3, 0.1)),
    "RMSprop": (lambda env: lg.optim.RMSprop(env, 0.01), lambda p: rmsprop(p, 0.01)),
    "RMSprop momentum": (
        lambda env: lg.optim.RMSprop(env, 0.01, rho=0.9, eps=1e-3, momentum=0.7),
        lambda p: rmsprop(p, 0.01, 0.9, 1e-3, 0.7),
    ),
    "Adam": (lambda env: lg.optim.Adam(env), lambda p: adam(p)),
    "Adam settings": (
        lambda env: lg.optim.Adam(env, 0.1, betas=(0.8, 0.95), eps=1e-2),
        lambda p: adam(p, 0.1, (0.8, 0.95), 1e-2),
    ),
    "AdamW": (lambda env: lg.optim.AdamW(env, 0.01), lambda p: adam(p, 0.01, decay=0.01)),
    "AdamW decay": (
        lambda env: lg.optim.AdamW(env, 0.05, weight_decay=0.5),
        lambda p: adam(p, 0.05, decay=0.5),
    ),
    "Lion": (lambda env: lg.optim.Lion(env, 0.01), lambda p: lion(p, 0.01)),
    "Lion decay": (
        lambda env: lg.optim.Lion(env, 0.01, betas=(0.95, 0.98), weight_decay=0.1),
        lambda p: lion(p, 0.01, (0.95, 0.98), 0.1),
    ),
    "RAdam": (lambda env: lg.optim.RAdam(env), lambda p: radam(p)),
    "RAdam settings": (
        lambda env: lg.optim.RAdam(env, 0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        lambda p: radam(p, 0.05, (0.8, 0.95), 1e-3, 0.1),
    ),
    "RAdam never rectified": (
        lambda env: lg.optim.RAdam(env, 0.05, betas=(0.8, 0.5)),
        lambda p: radam(p, 0.05, (0.8, 0.5)),
    ),
    "NAdam": (lambda env: lg.optim.NAdam(env), lambda p: nadam(p)),
    "NAdam settings": (
        lambda env: lg.optim.NAdam(env, 0.05, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.1, momentum_decay=0.1),
        lambda p: nadam(p, 0.05, (0.8, 0.95), 1e-2, 0.1, 0.1),
    ),
    "Lamb": (lambda env: lg.optim.Lamb(env, 0.01), lambda p: lamb(p, 0.01)),
    "Lamb settings": (
        lambda env: lg.optim.Lamb(env, 0.05, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.3),
        lambda p: lamb(p, 0.05, (0.8, 0.95), 1e-2, 0.3),
    ),
    "Adafactor": (lambda env: lg.optim.Adafactor(env), lambda p: adafactor(p)),
    "Adafactor settings": (
        lambda env: lg.optim.Adafactor(env, 0.3, decay_rate=-0.5, clip=0.5, weight_decay=0.1),
        lambda p: adafactor(p, 0.3, 0.5, 0.5, 0.1),
    ),
    "Muon": (lambda env: lg.optim.Muon(env), lambda p: muon(p)),
    "Muon settings": (
        lambda env: lg.optim.Muon(env, 0.05, momentum=0.8, weight_decay=0.5),
        lambda p: muon(p, 0.05, 0.8, 0.5),
    ),
}
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


# Schedules.


def staircase(k: int, steps: float) -> float:
    """k / steps, rounded down."""
    return math.floor(k / steps)


RATES: dict[str, tuple[schedules.Schedule, Callable[[int], float]]] = {
    "constant": (schedules.Constant(0.1), lambda k: 0.1),
    "inverse time": (schedules.InverseTime(0.1, 0.5), lambda k: 0.1 / (1 + 0.5 * k)),
    "inverse time steps": (schedules.InverseTime(0.1, 0.5, steps=10), lambda k: 0.1 / (1 + 0.5 * k / 10)),
    "inverse time stairs": (
        schedules.InverseTime(0.1, 0.5, steps=10, staircase=True),
        lambda k: 0.1 / (1 + 0.5 * staircase(k, 10)),
    ),
    "exponential": (schedules.Exponential(0.1, 0.9), lambda k: 0.1 * 0.9**k),
    "exponential steps": (schedules.Exponential(0.1, 0.5, steps=7), lambda k: 0.1 * 0.5 ** (k / 7)),
    "exponential stairs": (
        schedules.Exponential(0.1, 0.5, steps=7, staircase=True),
        lambda k: 0.1 * 0.5 ** staircase(k, 7),
    ),
    "piecewise": (
        schedules.Piecewise((10, 30), (1.0, 0.1, 0.01)),
        lambda k: 1.0 if k < 10 else 0.1 if k < 30 else 0.01,
    ),
    "piecewise none": (schedules.Piecewise((), (0.5,)), lambda k: 0.5),
    "cosine": (
        schedules.Cosine(0.1, 40, final=0.01),
        lambda k: 0.01 + 0.09 * 0.5 * (1 + math.cos(math.pi * min(k / 40, 1))),
    ),
    "warm-up": (schedules.WarmUp(5, 0.2), lambda k: 0.2 * min((k + 1) / 5, 1)),
    "warm-up then cosine": (
        schedules.WarmUp(10, schedules.Cosine(0.1, 20)),
        lambda k: min((k + 1) / 10, 1) * 0.05 * (1 + math.cos(math.pi * min(max(k - 10, 0) / 20, 1))),
    ),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["run", "compile"])
@pytest.mark.parametrize("name", RATES)
def test_a_schedule_follows_its_formula(name: str, compiled: bool) -> None:
    """The rate that SGD uses at steps 0 to 50, read off a parameter that falls by it; nothing is traced again."""
    schedule, formula = RATES[name]
    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set(0.0)
    optimizer = lg.optim.SGD(env, schedule)
    assert optimizer.learning_rate is schedule
    traces = []

    def step(ctx: lg.Context) -> Any:
        traces.append(1)
        return optimizer.update([ctx.variable("p")], [1.0])

    fast = env.compile(step)
    for k in range(51):
        env["p"] = 0.0
        fast() if compiled else env.run(step)
        np.testing.assert_allclose(-env["p"], formula(k), rtol=1e-14)
    assert len(traces) == (1 if compiled else 51)


def test_equal_schedules_are_equal() -> None:
    """They are values: settings that a graph may be kept for."""
    assert schedules.WarmUp(5, 0.2) == schedules.WarmUp(5, schedules.Constant(0.2))
    assert hash(schedules.Cosine(0.1, 5)) == hash(schedules.Cosine(0.1, 5))
    assert schedules.Piecewise([1, 2], [1.0, 2.0, 3.0]) == schedules.Piecewise((1, 2), (1.0, 2.0, 3.0))  # type: ignore[arg-type]


def descending(env: lg.VariableEnvironment, optimizer: lg.optim.Optimizer) -> tuple[Callable[..., Any], list[int]]:
    """A step that moves ``p`` by the learning rate, and a list that grows at every trace."""
    traces: list[int] = []

    def step(ctx: lg.Context) -> Any:
        traces.append(1)
        return optimizer.update([ctx.variable("p")], [1.0])

    return step, traces


def test_the_learning_rate_can_be_set_at_any_time_without_tracing_again() -> None:
    """Under compile a number is a variable; the next call uses it."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set(0.0)
    optimizer = lg.optim.SGD(env, 0.5)
    step, traces = descending(env, optimizer)
    fast = env.compile(step)
    expected = 0.0
    for rate in (0.5, 0.25, 2, np.float32(0.125), 0.0, 1.0):
        optimizer.learning_rate = rate
        assert optimizer.learning_rate == float(rate)
        fast()
        expected -= float(rate)
        assert env["p"] == expected
    assert len(traces) == 1


def test_a_schedule_can_be_set_later_and_taken_away_again() -> None:
    """It starts at the steps made so far; each change of kind traces once more, under run it just holds."""
    for compiled in (False, True):
        env = lg.VariableEnvironment(dtype="float64")
        env.name("p").set(0.0)
        optimizer = lg.optim.SGD(env, 0.5)
        step, traces = descending(env, optimizer)
        fast = env.compile(step) if compiled else lambda env=env, step=step: env.run(step)
        rates = []
        for k in range(9):
            if k == 3:
                optimizer.learning_rate = schedules.Exponential(1.0, 0.5)
            if k == 5:
                optimizer.learning_rate = schedules.Piecewise((6,), (7.0, 9.0))
            if k == 7:
                optimizer.learning_rate = 0.25
            before = env["p"]
            fast()
            rates.append(float(before - env["p"]))
        assert rates == [0.5, 0.5, 0.5, 0.125, 0.0625, 7.0, 9.0, 0.25, 0.25]
        assert len(traces) == (4 if compiled else 9)


def test_setting_the_learning_rate_in_the_environment_is_setting_it() -> None:
    """The number lies in a variable of the optimizer's namespace."""
    env = lg.VariableEnvironment()
    optimizer = lg.optim.Adam(env, 0.1)
    assert env["adam/learning_rate"] == 0.1
    env["adam/learning_rate"] = 0.2
    assert optimizer.learning_rate == 0.2


def test_the_step_count_is_a_variable() -> None:
    """It counts committed updates only."""
    env = lg.VariableEnvironment()
    env.name("p").set([0.0])
    optimizer = lg.optim.SGD(env, 0.1)
    assert optimizer.step_count == env["sgd/step"] == 0
    for _ in range(3):
        env.run(lambda ctx: optimizer.update(["p"], [np.ones(1)]))
    assert optimizer.step_count == env["sgd/step"] == 3
    assert env["sgd/step"].dtype == "int64"
    env.trace(lambda ctx: optimizer.update(["p"], [np.ones(1)]))
    with pytest.raises(lg.GraphError, match="neither returns nor pushes"):
        env.run(lambda ctx: (optimizer.update(["p"], [np.ones(1)]), ctx.variable("p"))[1])
    assert optimizer.step_count == 3


def test_a_setting_can_be_changed_between_runs() -> None:
    """Momentum is a variable as well, and nothing is traced again."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set(0.0)
    optimizer = lg.optim.SGD(env, 1.0, momentum=0.5)
    step, traces = descending(env, optimizer)
    fast = env.compile(step)
    fast()
    fast()
    env["sgd/momentum"] = 0.0
    fast()
    assert env["p"] == -(1.0 + 1.5 + 1.0)
    assert len(traces) == 1


# Where state lives.


def test_state_lives_in_the_namespace_of_the_optimizer_and_is_not_trainable() -> None:
    """Settings, step count, and one variable a slot and parameter, of its shape and dtype."""
    env = lg.VariableEnvironment()
    env.namespace("layer").name("w").set(np.ones((2, 3), "float64"))
    optimizer = lg.optim.Adam(env)
    env.run(lambda ctx: optimizer.minimize(lg.sum(ctx.variable("layer/w"))))
    state = [v for v in env if v.path.startswith("adam/")]
    assert [v.path for v in state] == [
        "adam/step",
        "adam/learning_rate",
        "adam/beta1",
        "adam/beta2",
        "adam/eps",
        "adam/layer/w/m",
        "adam/layer/w/v",
    ]
    assert not any(v.trainable for v in state)
    assert [(v.shape, v.dtype) for v in state[-2:]] == [((2, 3), np.dtype("float64"))] * 2
    assert env.run(lambda ctx: ctx.variables())[0].shape == (2, 3)


def test_optimizers_of_one_class_get_names_of_their_own() -> None:
    """The second is numbered; a name of one's own is kept, and may be given only once."""
    env = lg.VariableEnvironment()
    names = [lg.optim.Adam(env).name, lg.optim.Adam(env).name, lg.optim.AdamW(env).name, lg.optim.Adam(env).name]
    assert names == ["adam", "adam_1", "adamw", "adam_2"]
    assert lg.optim.Adam(env, name="slow").name == "slow"
    assert lg.optim.Adam(env, name="groups/fast").name == "groups/fast"
    with pytest.raises(lg.DefinitionError):
        lg.optim.Lion(env, name="slow")


def test_two_optimizers_keep_their_state_apart() -> None:
    """Each its own moments and count, in one environment and one step."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("a").set([1.0])
    env.name("b").set([1.0])
    one, two = lg.optim.Adam(env, 0.1), lg.optim.Adam(env, 0.2)

    def step(ctx: lg.Context) -> Any:
        loss = lg.sum(lg.square(ctx.variable("a")) + lg.square(ctx.variable("b")))
        return one.minimize(loss, ["a"]), two.minimize(loss, ["b"])

    for _ in range(3):
        env.run(step)
    env.run(lambda ctx: one.minimize(lg.sum(lg.square(ctx.variable("a"))), ["a"]))
    assert (one.step_count, two.step_count) == (4, 3)
    a, b = adam(np.array([1.0]), 0.1), adam(np.array([1.0]), 0.2)
    x, y = next(a), next(b)
    for k in range(4):
        x = a.send(2 * x)
        y = b.send(2 * y) if k < 3 else y
    np.testing.assert_allclose(env["a"], x, rtol=1e-13)
    np.testing.assert_allclose(env["b"], y, rtol=1e-13)


def test_an_optimizer_that_could_not_be_made_leaves_no_name_behind() -> None:
    """The next one gets the name."""
    env = lg.VariableEnvironment()
    before = snapshot(env)
    for bad in (lambda: lg.optim.Adam(env, "x"), lambda: lg.optim.Adam(env, betas=(0.9, 2.0))):  # type: ignore[arg-type]
        with pytest.raises(lg.SpecError):
            bad()
        assert snapshot(env) == before
    assert lg.optim.Adam(env).name == "adam"


def test_minimize_takes_all_trainable_variables() -> None:
    """Frozen ones, and the state of optimizers, stay."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(2, "float32"))
    env.name("frozen").set(np.ones(2, "float32"), trainable=False)
    env.namespace("deep").name("v").set(np.ones(2, "float32"))
    optimizer = lg.optim.SGD(env, 0.5)

    def loss(ctx: lg.Context) -> lg.Tensor:
        return lg.sum(ctx.variable("w") * ctx.variable("frozen") * ctx.variable("deep/v"))

    env.run(lambda ctx: optimizer.minimize(loss(ctx)))
    assert [env[n].tolist() for n in ("w", "frozen", "deep/v")] == [[0.5, 0.5], [1.0, 1.0], [0.5, 0.5]]
    env.run(lambda ctx: optimizer.minimize(loss(ctx), ["frozen"]))
    assert [env[n].tolist() for n in ("w", "frozen", "deep/v")] == [[0.5, 0.5], [0.875, 0.875], [0.5, 0.5]]


def test_variables_may_be_given_as_tensors_names_or_variables() -> None:
    """Also one alone, without a list."""
    env = lg.VariableEnvironment()
    w = env.name("w").set(np.ones(2, "float32"))
    optimizer = lg.optim.SGD(env, 1.0)
    given: list[Callable[[lg.Context], Any]] = [
        lambda ctx: [ctx.variable("w")],
        lambda ctx: ["w"],
        lambda ctx: [w],
        lambda ctx: ctx.variable("w"),
        lambda ctx: "w",
        lambda ctx: w,
    ]
    for k, choose in enumerate(given):
        env.run(lambda ctx, choose=choose: optimizer.minimize(lg.sum(ctx.variable("w")), choose(ctx)))
        assert env["w"].tolist() == [-k, -k]
    env.run(lambda ctx: optimizer.update("w", np.full(2, 0.5)))
    assert env["w"].tolist() == [-5.5, -5.5]


def test_a_variable_that_the_loss_does_not_depend_on_gets_zero_gradient() -> None:
    """SGD leaves it; weight decay still shrinks it."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("a").set([1.0])
    env.name("b").set([1.0])
    optimizer = lg.optim.SGD(env, 0.5, weight_decay=0.5)
    env.run(lambda ctx: optimizer.minimize(lg.sum(ctx.variable("a"))))
    assert (env["a"].tolist(), env["b"].tolist()) == ([0.25], [0.75])


def test_a_gradient_of_another_dtype_is_cast() -> None:
    """The parameter and its state keep theirs."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(2, "float32"))
    optimizer = lg.optim.Adam(env)
    env.run(lambda ctx: optimizer.update(["w"], [np.ones(2, "float64")]))
    assert {str(v.dtype) for v in env if v.path in ("w", "adam/w/m", "adam/w/v")} == {"float32"}


def test_settings_are_kept_in_double_precision() -> None:
    """β₂ᵗ near 1 would lose all digits in float32: after 10⁵ steps the rate is still right."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.zeros(1, "float32"))
    optimizer = lg.optim.Adam(env, 0.1)
    env.run(lambda ctx: optimizer.update(["w"], [np.ones(1, "float32")]))
    np.testing.assert_allclose(env["w"], [-0.1], rtol=1e-6)
    env["adam/step"] = 99_999
    env["adam/w/m"] = [1.0]
    env["adam/w/v"] = [1.0]
    env["w"] = [0.0]
    env.run(lambda ctx: optimizer.update(["w"], [np.ones(1, "float32")]))
    np.testing.assert_allclose(env["w"], [-0.1], rtol=1e-6)


def test_a_new_optimizer_goes_on_from_saved_state(tmp_path: Any) -> None:
    """Step count, moments and settings come from the file, and the numbers go on to the bit."""
    path = tmp_path / "env.json"

    def training(env: lg.VariableEnvironment, optimizer: lg.optim.Optimizer) -> Callable[..., Any]:
        def step(ctx: lg.Context) -> Any:
            x = ctx.random.normal((4, 2))
            return optimizer.minimize(lg.mean(lg.square(x @ ctx.variable("w") - 1.0)))

        return step

    env = lg.VariableEnvironment(seed=2)
    env.name("w").set(np.ones((2, 1), "float32"))
    first = lg.optim.Adam(env, 0.1)
    step = training(env, first)
    for _ in range(3):
        env.run(step)
    first.learning_rate = 0.05
    env.save(path)
    loaded = lg.VariableEnvironment.load(path)
    second = lg.optim.Adam(loaded)
    assert (second.name, second.step_count, second.learning_rate) == ("adam", 3, 0.05)
    again = training(loaded, second)
    for _ in range(3):
        env.run(step)
        loaded.run(again)
    assert snapshot(loaded) == snapshot(env)


def test_an_optimizer_of_ones_own_is_one_formula() -> None:
    """A subclass writes the update of one parameter, and has state, settings and schedules."""

    class Heavy(lg.optim.Optimizer):
        slots = ("u",)

        def __init__(self, env: lg.VariableEnvironment, learning_rate: Any) -> None:
            super().__init__(env, {"learning_rate": learning_rate, "mass": -0.5})

        def step(self, p: Any, g: Any, state: Any, settings: Any) -> Any:
            u = settings["mass"].astype(p.dtype) * state["u"] + g * settings["t"].astype(p.dtype)
            return p - settings["learning_rate"].astype(p.dtype) * u, {"u": u}

    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set([0.0])
    optimizer = Heavy(env, schedules.Piecewise((1,), (1.0, 2.0)))
    for expected in (-1.0, -1.0 - 2 * 1.5):
        env.run(lambda ctx: optimizer.update(["p"], [np.ones(1)]))
        assert env["p"].tolist() == [expected]
    assert env["heavy/p/u"].tolist() == [1.5]


@pytest.mark.parametrize("wrap", [lambda adam: adam, lambda adam: lg.optim.accumulate(adam, 2)])
def test_an_attribute_of_another_library_is_answered(wrap: Callable[..., Any]) -> None:
    """Read or set: it would do nothing. One that is near is named; a user's own optimizer may have any."""
    env = lg.VariableEnvironment()
    optimizer = wrap(lg.optim.Adam(env))
    for name, cure in {"lr": "optimizer.learning_rate", "minimise": "'minimize'", "state_dict": "env.save"}.items():
        with pytest.raises(AttributeError) as refused:
            getattr(optimizer, name)
        assert f"no attribute '{name}'" in str(refused.value)
        assert cure in str(refused.value).splitlines()[-1]
    with pytest.raises(AttributeError) as refused:
        optimizer.lr = 0.1
    assert str(refused.value).endswith("Write optimizer.learning_rate.")
    assert not hasattr(optimizer, "__len__")

    class Own(lg.optim.Optimizer):
        """One with an attribute of its own."""

    own = Own(env, {"learning_rate": 0.1})
    own.lr = 0.5
    assert 0.5 == own.lr


# Clipping.

GRADS = [np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([12.0])]


def clipped(f: Callable[[Any], Any], grads: list[np.ndarray] = GRADS, dtype: str = "float64") -> list[np.ndarray]:
    """What becomes of gradients, run twice, as a program the second time."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, grads: Any) -> Any:
        return f(grads)

    first = env.run(step, [g.astype(dtype) for g in grads])
    second = env.run(step, [g.astype(dtype) for g in grads])
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    return first


def test_clipping_by_global_norm_scales_all_gradients_together() -> None:
    """Their length is 13; to 6.5 all are halved."""
    halved = clipped(lambda g: lg.optim.clip_by_global_norm(g, 6.5))
    for got, g in zip(halved, GRADS, strict=True):
        np.testing.assert_allclose(got, g / 2, rtol=1e-15)
    assert clipped(lambda g: [lg.optim.global_norm(g)])[0] == 13.0


@pytest.mark.parametrize("norm", [13.0, 20, 1e30])
def test_gradients_short_enough_are_not_clipped(norm: float) -> None:
    """They come back to the bit."""
    for got, g in zip(clipped(lambda g: lg.optim.clip_by_global_norm(g, norm)), GRADS, strict=True):
        np.testing.assert_array_equal(got, g)


@pytest.mark.parametrize(
    "f",
    [
        lambda g: lg.optim.clip_by_global_norm(g, 1.0),
        lambda g: lg.optim.clip_by_global_norm(g, 0.0),
        lambda g: lg.optim.normalize_gradient(g, 1.0),
    ],
    ids=["clip", "clip to nothing", "normalize"],
)
def test_zero_gradients_stay_zero(f: Callable[[Any], Any]) -> None:
    """Nothing is divided by a length of zero."""
    for got in clipped(f, [np.zeros((2, 2)), np.zeros(1)]):
        np.testing.assert_array_equal(got, np.zeros_like(got))


def test_clipping_to_nothing_gives_zeros() -> None:
    """A norm of zero is a norm."""
    for got in clipped(lambda g: lg.optim.clip_by_global_norm(g, 0.0)):
        np.testing.assert_array_equal(got, np.zeros_like(got))


def test_the_norm_may_be_a_variable() -> None:
    """It changes from step to step without anything being traced again."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("norm").set(6.5, trainable=False)
    traces = []

    def step(ctx: lg.Context, g: Any) -> Any:
        traces.append(1)
        return lg.optim.clip_by_global_norm([g], ctx.variable("norm"))[0]

    fast = env.compile(step)
    np.testing.assert_allclose(fast(np.array([5.0, 12.0])), [2.5, 6.0])
    env["norm"] = 26.0
    np.testing.assert_allclose(fast(np.array([5.0, 12.0])), [5.0, 12.0])
    assert len(traces) == 1


def test_gradients_of_several_dtypes_keep_theirs() -> None:
    """The length is that of all together."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, a: Any, b: Any) -> Any:
        return lg.optim.clip_by_global_norm([a, b], 2.5), lg.optim.normalize_gradient([a, b], 10.0)

    (a, b), (c, d) = env.run(step, np.array([3.0], "float32"), np.array([4.0]))
    assert [x.dtype for x in (a, b, c, d)] == ["float32", "float64", "float32", "float64"]
    np.testing.assert_allclose([a[0], b[0], c[0], d[0]], [1.5, 2.0, 6.0, 8.0], rtol=1e-7)


def test_clipping_by_value_holds_every_element() -> None:
    """Between a lower and an upper bound, which may be tensors."""
    got = clipped(lambda g: lg.optim.clip_by_value(g, -1.0, 3.5))
    for x, g in zip(got, GRADS, strict=True):
        np.testing.assert_array_equal(x, np.clip(g, -1.0, 3.5))


def test_a_normalised_gradient_has_the_wanted_length() -> None:
    """Longer or shorter than before, its direction kept."""
    for length in (1.0, 130.0):
        got = clipped(lambda g, length=length: lg.optim.normalize_gradient(g, length))
        np.testing.assert_allclose(np.sqrt(sum(np.sum(g**2) for g in got)), length, rtol=1e-14)
        np.testing.assert_allclose(got[0], GRADS[0] * length / 13, rtol=1e-14)


def test_a_normalised_gradient_may_be_measured_over_some() -> None:
    """The others are scaled by the same factor."""
    first, second = clipped(lambda g: lg.optim.normalize_gradient(g, 1.0, over=g[:1]))
    np.testing.assert_allclose(first, GRADS[0] / 5, rtol=1e-15)
    np.testing.assert_allclose(second, GRADS[1] / 5, rtol=1e-15)


def test_no_gradients_are_clipped_to_no_gradients() -> None:
    """An empty list is a list."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context) -> Any:
        return [
            lg.optim.clip_by_global_norm([], 1.0),
            lg.optim.clip_by_value([], -1, 1),
            lg.optim.normalize_gradient([], 1.0),
        ]

    assert env.run(step) == [[], [], []]


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


def test_the_current_rate_is_that_of_the_next_update() -> None:
    """Of a schedule, of one within another, and of a number; reading it changes nothing."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones(2, "float32"))
    schedule = lg.optim.schedules.WarmUp(2, lg.optim.schedules.Exponential(0.5, 0.5))
    sgd = lg.optim.SGD(env, schedule)
    step = env.compile(lambda ctx: sgd.minimize(lg.sum(ctx.variable("w"))))
    found = []
    for _ in range(4):
        before = env["w"][0]
        found.append(sgd.current_rate)
        step()
        assert found[-1] == pytest.approx(before - env["w"][0], rel=1e-6)
    assert [0.25, 0.5, 0.5, 0.25] == found
    assert schedule is sgd.learning_rate
    sgd.learning_rate = 0.125
    assert 0.125 == sgd.current_rate
