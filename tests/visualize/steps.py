"""Steps that are drawn: each with its environment and arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg

Made = tuple[lg.VariableEnvironment, Callable[..., Any], tuple[Any, ...]]


def linear_regression() -> Made:
    """The program of the README: no arguments, no layers."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((1, 1), "float32"))
    env.name("b").set(np.zeros((1, 1), "float32"))
    adam = lg.optim.Adam(env, learning_rate=0.01)

    def step(ctx: Any) -> Any:
        x = ctx.random.uniform((64, 1), low=-10.0, high=10.0)
        y = 2.5 * x - 1.0 + 0.5 * ctx.random.normal((64, 1))
        w, b = ctx.variable("w"), ctx.variable("b")
        loss = lg.mean(lg.square(x @ w + b - y))
        return loss, adam.update([w, b], lg.grad(loss, [w, b]))

    return env, step, ()


def three_layers() -> Made:
    """A training step of a network of three layers."""
    env = lg.VariableEnvironment(seed=0)
    fc1, fc2 = lg.nn.Linear(env, 20, 12, name="fc1"), lg.nn.Linear(env, 12, 8, name="fc2")
    fc3 = lg.nn.Linear(env, 8, 4, name="fc3")
    adam = lg.optim.Adam(env)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        h = lg.nn.relu(fc1(x))
        h = lg.nn.relu(fc2(h))
        logits = fc3(h)
        loss = lg.mean(lg.nn.cross_entropy(logits, y))
        return loss, adam.minimize(loss)

    return env, step, (np.random.default_rng(0).normal(size=(6, 20)).astype("float32"), np.arange(6) % 4)


def recurrent() -> Made:
    """A step with a loop in it."""
    env = lg.VariableEnvironment(seed=0)
    net, out = lg.nn.LSTM(env, 3, 8, name="lstm"), lg.nn.Linear(env, 8, 1, name="out")
    adam = lg.optim.Adam(env)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        hidden, _ = net(x)
        guess = out(hidden[:, -1])
        loss = lg.mean(lg.square(guess - y))
        return loss, adam.minimize(loss)

    return env, step, (np.ones((4, 12, 3), "float32"), np.zeros((4, 1), "float32"))


def transformer() -> Made:
    """Layers within layers."""
    env = lg.VariableEnvironment(seed=0)
    embedding = lg.nn.Embedding(env, 9, 8, name="embedding")
    blocks = [lg.nn.TransformerBlock(env, 8, 2, rate=0.1, causal=True, name=f"block_{k}") for k in (1, 2, 3)]
    norm, out = lg.nn.LayerNorm(env, 8, name="norm"), lg.nn.Linear(env, 8, 9, name="out")
    adam = lg.optim.AdamW(env, 1e-3)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        h = embedding(x)
        for block in blocks:
            h = block(h, True)
        loss = lg.mean(lg.nn.cross_entropy(out(norm(h)), y))
        return loss, adam.minimize(loss)

    codes = np.arange(10).reshape(2, 5) % 9
    return env, step, (codes, codes)


def thirty_layers() -> Made:
    """A deep network."""
    env = lg.VariableEnvironment(seed=0)
    layers = [lg.nn.Linear(env, 5, 5, name=f"h{k}") for k in range(1, 31)]
    out, adam = lg.nn.Linear(env, 5, 1, name="out"), lg.optim.Adam(env)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        for layer in layers:
            x = lg.tanh(layer(x))
        loss = lg.mean(lg.square(out(x) - y))
        return loss, adam.minimize(loss)

    return env, step, (np.ones((3, 5), "float32"), np.ones((3, 1), "float32"))


def without_layers() -> Made:
    """Plain ops on plain variables."""
    env = lg.VariableEnvironment(seed=0)
    rng = np.random.default_rng(0)
    for k, (n, m) in enumerate([(2, 16), (16, 16), (16, 1)], 1):
        env.name(f"w{k}").set(rng.normal(size=(n, m)).astype("float32"))
        env.name(f"b{k}").set(np.zeros(m, "float32"))
    sgd = lg.optim.SGD(env, 0.1, momentum=0.9)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        h1 = lg.tanh(x @ ctx.variable("w1") + ctx.variable("b1"))
        h2 = lg.tanh(h1 @ ctx.variable("w2") + ctx.variable("b2"))
        guess = lg.nn.sigmoid(h2 @ ctx.variable("w3") + ctx.variable("b3"))
        loss = -lg.mean(y * lg.log(guess) + (1 - y) * lg.log(1 - guess))
        return loss, sgd.minimize(loss)

    return env, step, (rng.normal(size=(8, 2)).astype("float32"), np.ones((8, 1), "float32"))


def shared_layer() -> Made:
    """A layer that is called twice, with another one between."""
    env = lg.VariableEnvironment(seed=0)
    shared, middle = lg.nn.Linear(env, 8, 8, name="shared"), lg.nn.Linear(env, 8, 8, name="middle")
    adam = lg.optim.Adam(env)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        h = lg.nn.relu(shared(x))
        h = lg.nn.relu(middle(h))
        h = lg.nn.relu(shared(h))
        loss = lg.mean(lg.square(h - y))
        return loss, adam.minimize(loss)

    return env, step, (np.ones((4, 8), "float32"), np.ones((4, 8), "float32"))


def written_out() -> Made:
    """A loop of sixty turns that is a loop of Python's, and so sixty times the same nodes."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.eye(4, dtype="float32"))
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        w, h = ctx.variable("w"), x[:, 0]
        for t in range(60):
            h = lg.tanh(h @ w + x[:, t])
        loss = lg.mean(h)
        return loss, sgd.minimize(loss)

    return env, step, (np.ones((3, 60, 4), "float32"),)


STEPS = [
    linear_regression, three_layers, recurrent, transformer, thirty_layers, without_layers, shared_layer,
]  # fmt: skip
