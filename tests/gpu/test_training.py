"""Whole training steps on the emulator: every optimizer, every layer, every loss, beside the host's lanes and NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gpu.emulated import Emulated, emulated, held_to_the_law
from gpu.random_programs import FAMILIES, tried

import lazygrad as lg
from lazygrad.optim.base import Optimizer

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 5)).astype(np.float32)
LABELS = RNG.integers(0, 3, 12)
TARGET = RNG.normal(size=(12, 3)).astype(np.float32)
CHANCES = np.exp(TARGET) / np.exp(TARGET).sum(axis=1, keepdims=True)


def tried_step(env: lg.VariableEnvironment, step: Callable[..., Any], *arguments: Any) -> Emulated:
    """A step on the emulator, in an environment in which it has run once: optimizers make variables of their own."""
    env.run(step, *arguments)
    this = emulated(step, *arguments, environment=env)
    held_to_the_law(this)
    assert not any(np.isnan(array).any() for array in this.found)
    return this


# Optimizers.


def names_of_optimizers() -> list[str]:
    """All of ``lg.optim``."""
    public = vars(lg.optim).items()
    return sorted(n for n, c in public if isinstance(c, type) and issubclass(c, Optimizer) and c is not Optimizer)


@pytest.mark.thinned(5)
@pytest.mark.parametrize("name", [*names_of_optimizers(), "average", "accumulate", "clipped"])
def test_every_optimizer_moves_variables_as_on_the_host(name: str) -> None:
    """A network of two layers, the gradient of its loss, and an update."""
    env = lg.VariableEnvironment(seed=0)
    layers = [lg.nn.Linear(env, 5, 8), lg.nn.Linear(env, 8, 3)]
    if name == "average":
        optimizer: Any = lg.optim.average(lg.optim.Adam(env, 0.01), decay=0.9)
    elif name == "accumulate":
        optimizer = lg.optim.accumulate(lg.optim.Adam(env, 0.01), 2)
    else:
        optimizer = lg.optim.SGD(env, 0.01) if name == "clipped" else getattr(lg.optim, name)(env, 0.01)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(layers[1](lg.nn.gelu(layers[0](x))), y))
        if name != "clipped":
            return loss, optimizer.minimize(loss)
        variables = [v for layer in layers for v in (layer.weight, layer.bias)]
        gradients = lg.optim.clip_by_global_norm(lg.grad(loss, variables), 0.1)
        return loss, optimizer.update(variables, gradients)

    tried_step(env, step, X, LABELS)


# Layers.

IMAGES = RNG.normal(size=(2, 4, 6, 6)).astype(np.float32)
SEQUENCES = RNG.normal(size=(3, 4, 6)).astype(np.float32)
LAYERS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "Linear": (lambda env: lg.nn.Linear(env, 5, 3), X),
    "Conv2d": (lambda env: lg.nn.Conv2d(env, 4, 3, 3), IMAGES),
    "ConvTranspose2d": (lambda env: lg.nn.ConvTranspose2d(env, 4, 3, 3, stride=2), IMAGES),
    "AvgPool2d": (lambda env: lg.nn.Sequential(lg.nn.Conv2d(env, 4, 2, 1), lg.nn.AvgPool2d(env, 2)), IMAGES),
    "MaxPool2d": (lambda env: lg.nn.Sequential(lg.nn.Conv2d(env, 4, 2, 1), lg.nn.MaxPool2d(env, 2)), IMAGES),
    "SumPool2d": (lambda env: lg.nn.Sequential(lg.nn.Conv2d(env, 4, 2, 1), lg.nn.SumPool2d(env, 2)), IMAGES),
    "BatchNorm": (lambda env: lg.nn.BatchNorm(env, 5), X),
    "LayerNorm": (lambda env: lg.nn.LayerNorm(env, 5), X),
    "GroupNorm": (lambda env: lg.nn.GroupNorm(env, 4, 2), IMAGES),
    "Dropout": (lambda env: lg.nn.Sequential(lg.nn.Linear(env, 5, 4), lg.nn.Dropout(env, 0.3)), X),
    "Embedding": (lambda env: lg.nn.Embedding(env, 7, 5), RNG.integers(0, 7, (4, 3))),
    "RNN": (lambda env: lg.nn.RNN(env, 6, 5), SEQUENCES),
    "GRU": (lambda env: lg.nn.GRU(env, 6, 5), SEQUENCES),
    "LSTM": (lambda env: lg.nn.LSTM(env, 6, 5), SEQUENCES),
    "MultiHeadAttention": (lambda env: lg.nn.MultiHeadAttention(env, 6, 2), SEQUENCES),
    "TransformerBlock": (lambda env: lg.nn.TransformerBlock(env, 6, 2), SEQUENCES),
    "Sequential": (lambda env: lg.nn.Sequential(lg.nn.Linear(env, 5, 3), lg.nn.relu, lg.nn.Linear(env, 3, 2)), X),
}


LAUNCHED = ("LSTM", "GRU")  # their loops are turns that the host launches, which the host's lanes do not do


def test_no_layer_optimizer_or_loss_is_left_out() -> None:
    """What is public stands in one of the tables here."""
    layers = {n for n, c in vars(lg.nn).items() if isinstance(c, type) and issubclass(c, lg.nn.Layer)}
    assert layers - {"Layer"} | {"Sequential"} == LAYERS.keys()
    named = {n for n in vars(lg.nn) if inspect.isfunction(f := getattr(lg.nn, n)) and f.__module__ in LOSS_MODULES}
    assert named == LOSSES.keys()
    assert {"Adam", "LBFGS", "Muon", "SGD"} < set(names_of_optimizers())


def training_of(name: str, env: lg.VariableEnvironment, optimizer: str = "Adam") -> Callable[..., Any]:
    """A step that trains a layer: its output, gradient and update, and what else it keeps, such as running averages."""
    layer, moved = LAYERS[name][0](env), getattr(lg.optim, optimizer)(env, 0.01)
    training = {"train": True} if "train" in inspect.signature(layer.__call__).parameters else {}

    def step(ctx: Any, x: Any) -> Any:
        y = layer(x, **training)
        y = y[0] if isinstance(y, tuple) else y
        loss = lg.mean(lg.square(y - 0.5))
        return y, loss, moved.minimize(loss), ctx.updates()

    return step


@pytest.mark.thinned(5)
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in LAUNCHED])
def test_every_layer_trains_as_on_the_host(name: str) -> None:
    """A whole step, bit for bit."""
    env = lg.VariableEnvironment(seed=0)
    tried_step(env, training_of(name, env), LAYERS[name][1])


@pytest.mark.thinned(5)
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_trains_on_a_device_as_on_the_cpu(name: str, double: Any) -> None:
    """Two steps through the runner: its launches, its turns and its products, with the variables after them.

    SGD, as Adam makes a whole step of a gradient that is nothing but rounding, such as that of the bias of keys.
    """
    found: list[list[Any]] = []
    for backend in ("numpy", "cupy"):
        env = lg.VariableEnvironment(seed=0, backend=backend)
        step = env.compile(training_of(name, env, "SGD"), wait=True)
        results = [step(LAYERS[name][1])[:2] for _ in range(2)]
        assert step.is_native
        arrays = [array for result in results for array in result] + [v.value for v in env]
        found.append([np.asarray(env._store.backend.to_numpy(array)) for array in arrays])
    for here, there in zip(*found, strict=True):
        room = 2.0**-18 * max(1.0, float(np.max(np.abs(here), initial=0)))  # some 30 roundings of the largest
        np.testing.assert_allclose(there, here, rtol=0, atol=room)


# Losses.

SIGNS = np.where(TARGET > 0, 1.0, -1.0).astype(np.float32)
LOSSES: dict[str, Callable[[Any], Any]] = {
    "mean_squared_error": lambda p: lg.nn.mean_squared_error(p, TARGET),
    "mean_absolute_error": lambda p: lg.nn.mean_absolute_error(p, TARGET),
    "huber": lambda p: lg.nn.huber(p, TARGET, 0.7),
    "hinge": lambda p: lg.nn.hinge(p, SIGNS),
    "binary_cross_entropy_with_logits": lambda p: lg.nn.binary_cross_entropy_with_logits(p, CHANCES),
    "cross_entropy": lambda p: lg.nn.cross_entropy(p, LABELS),
    "negative_log_likelihood": lambda p: lg.nn.negative_log_likelihood(lg.nn.log_softmax(p), LABELS),
    "kl_divergence": lambda p: lg.nn.kl_divergence(CHANCES, lg.nn.softmax(p)),
    "poisson_nll": lambda p: lg.nn.poisson_nll(p, np.abs(np.rint(TARGET)), full=True),
    "gaussian_nll": lambda p: lg.nn.gaussian_nll(p, TARGET, lg.nn.softplus(p) + 0.1),
    "quantile": lambda p: lg.nn.quantile(p, TARGET, 0.3),
    "cosine": lambda p: lg.nn.cosine(p, TARGET),
    "triplet": lambda p: lg.nn.triplet(p, TARGET, SIGNS),
    "focal": lambda p: lg.nn.focal(p, LABELS),
    "binary_focal_with_logits": lambda p: lg.nn.binary_focal_with_logits(p, CHANCES, alpha=0.3),
    "ctc": lambda p: lg.nn.ctc(lg.reshape(p, (2, 6, 3)), np.array([[1, 2], [2, 1]])),
}
LOSS_MODULES = [f"lazygrad.nn.{name}" for name in ("losses", "likelihoods", "distances", "focal", "ctc")]


@pytest.mark.thinned(5)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_the_hosts_value_and_gradient(name: str) -> None:
    """Of what a layer predicts; with Adam."""
    env = lg.VariableEnvironment(seed=0)
    layer, adam = lg.nn.Linear(env, 5, 3), lg.optim.Adam(env, 0.01)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(LOSSES[name](layer(x)))
        return loss, adam.minimize(loss)

    tried_step(env, step, X)


# Random programs.


@pytest.mark.thinned(10)
@pytest.mark.parametrize("part", range(40))
@pytest.mark.parametrize("family", FAMILIES)
def test_random_programs_compute_the_same(family: str, part: int) -> None:
    """Four at a time; ``python -m tests.gpu.random_programs`` tries as many as one likes."""
    for seed in range(4 * part, 4 * part + 4):
        tried(family, seed)
