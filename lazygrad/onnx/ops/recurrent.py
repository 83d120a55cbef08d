"""Recurrent layers, of which each direction is a scan over time."""

# In the file a gate has its rows: W (directions, gates·hidden, inputs), R likewise, two biases one after another.

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.table import At, Weight, op

Function = Callable[[Any], Any]

# By their names in the file, with the constants that they take.
PLAIN: dict[str, Function] = {
    "sigmoid": lg.nn.sigmoid,
    "tanh": lg.tanh,
    "relu": lg.nn.relu,
    "softsign": lg.nn.softsign,
    "softplus": lg.nn.softplus,
}
WITH_ALPHA: dict[str, tuple[float, Callable[[Any, float], Any]]] = {
    "leakyrelu": (0.01, lambda x, a: lg.nn.leaky_relu(x, a)),
    "thresholdedrelu": (1.0, lambda x, a: lg.where(x > a, x, 0)),
    "elu": (1.0, lambda x, a: lg.nn.elu(x, a)),
}
WITH_BOTH: dict[str, tuple[float, float, Callable[[Any, float, float], Any]]] = {
    "affine": (1.0, 0.0, lambda x, a, b: a * x + b),
    "scaledtanh": (1.0, 1.0, lambda x, a, b: a * lg.tanh(b * x)),
    "hardsigmoid": (0.2, 0.5, lambda x, a, b: lg.clip(a * x + b, 0.0, 1.0)),
}


class _Way(NamedTuple):
    """One direction: its weights, its functions, and what all have in common."""

    w: Any  # (inputs, gates·hidden)
    r: Any  # (hidden, gates·hidden)
    bias: tuple[Any, Any]  # of both products, (gates·hidden,) or 0
    peep: Any  # (3·hidden,) or None
    functions: tuple[Function, ...]
    size: int
    at: At

    def setting(self, name: str) -> Any:
        """A setting of the node."""
        return self.at.node.settings.get(name)


def _rnn(way: _Way, x: Any, h: Any) -> tuple[Any, ...]:
    """hₜ = f(W·xₜ + R·hₜ₋₁ + b)."""
    (f,) = way.functions
    return (f(x + h @ way.r + way.bias[1]),)


def _gru(way: _Way, x: Any, h: Any) -> tuple[Any, ...]:
    """z and r choose, hₜ = (1 − z)·h̃ + z·hₜ₋₁ (Cho et al. 2014)."""
    f, g = way.functions
    n, hidden = way.size, h @ way.r
    bias = way.bias[1]
    both = f(x[:, : 2 * n] + hidden[:, : 2 * n] + _part(bias, 0, 2 * n))
    z, r = both[:, :n], both[:, n:]
    if way.setting("linear_before_reset"):
        new = g(x[:, 2 * n :] + r * (hidden[:, 2 * n :] + _part(bias, 2 * n, 3 * n)))
    else:
        new = g(x[:, 2 * n :] + (r * h) @ way.r[:, 2 * n :] + _part(bias, 2 * n, 3 * n))
    return ((1 - z) * new + z * h,)


def _lstm(way: _Way, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """cₜ = f·cₜ₋₁ + i·c̃, hₜ = o·tanh(cₜ) (Hochreiter & Schmidhuber 1997), where gates may see the cell."""
    f, g, last = way.functions
    n = way.size
    gates = x + h @ way.r + way.bias[1]
    i, o, forget, new = (gates[:, k * n : (k + 1) * n] for k in range(4))
    sees = [0, 0, 0] if way.peep is None else [way.peep[k * n : (k + 1) * n] for k in range(3)]
    i = f(i + sees[0] * c)
    forget = 1 - i if way.setting("input_forget") else f(forget + sees[2] * c)
    after = forget * c + i * g(new)
    return f(o + sees[1] * after) * last(after), after


def _part(bias: Any, start: int, stop: int) -> Any:
    return bias if isinstance(bias, int) else bias[start:stop]


def _recurrent(
    at: At, step: Callable[..., tuple[Any, ...]], states: int, defaults: tuple[str, ...], operands: dict[str, Any]
) -> Any:
    """All directions, with the outputs in the layout of the file."""
    x, lengths = operands["x"], operands["lengths"]
    rows_first = bool(at.node.settings.get("layout"))
    x = lg.swapaxes(x, 0, 1) if rows_first else x
    count = operands["w"].shape[0]
    functions = _functions(at, defaults, count)
    kinds = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[at.node.settings["direction"]]
    each = []
    for k, reverse in enumerate(kinds):
        size = operands["r"].shape[2]
        bias: Any = (0, 0) if operands["b"] is None else tuple(lg.split(operands["b"][k], 2))
        peep = None if operands["p"] is None else operands["p"][k]
        way = _Way(operands["w"][k].T, operands["r"][k].T, bias, peep, functions[k], size, at)
        begin = [_begin(operands[name], k, x, size, rows_first) for name in ("h", "c")[:states]]
        each.append(_along(way, step, x, lengths, begin, reverse))
    ys = lg.stack([ys for ys, _ in each], axis=1)
    last = [lg.stack([states[k] for _, states in each], axis=0) for k in range(states)]
    if rows_first:
        ys, last = lg.permute_dims(ys, (2, 0, 1, 3)), [lg.swapaxes(s, 0, 1) for s in last]
    return (ys, *last)[: max(at.outputs, 1)]


def _begin(given: Any, k: int, x: Any, size: int, rows_first: bool) -> Any:
    if given is None:
        return lg.zeros((x.shape[1], size), x.dtype)
    return given[:, k] if rows_first else given[k]


def _along(
    way: _Way, step: Callable[..., tuple[Any, ...]], x: Any, lengths: Any, begin: list[Any], reverse: bool
) -> tuple[Any, list[Any]]:
    """One direction: what it gives at each time, and the last states."""
    seen = x @ way.w + way.bias[0]  # of all times at once
    over = {"x": seen}
    if lengths is not None:
        over["real"] = lg.expand_dims(np.arange(x.shape[0])[:, None] < lg.astype(lengths, np.int64), -1)

    def turn(states: Any, now: Any) -> Any:
        after = step(way, now["x"], *states)
        given = after[0]
        if lengths is not None:
            after = tuple(lg.where(now["real"], a, b) for a, b in zip(after, states, strict=True))
            given = lg.where(now["real"], given, lg.zeros_like(given))
        return list(after), given

    states, ys = lg.scan(turn, begin, over, reverse=reverse)
    return ys, states


def _functions(at: At, defaults: tuple[str, ...], directions: int) -> list[tuple[Function, ...]]:
    """The functions of each direction, on numbers that are held within ``clip``, if there is one."""
    settings = at.node.settings
    names = tuple(settings.get("activations") or defaults * directions)
    alphas, betas = iter(settings.get("activation_alpha") or ()), iter(settings.get("activation_beta") or ())
    found = [_function(at, name.lower(), alphas, betas) for name in names]
    clip = settings.get("clip")
    if clip:
        found = [_held(f, clip) for f in found]
    count = len(defaults)
    return [tuple(found[k * count : (k + 1) * count]) for k in range(directions)]


def _held(f: Function, clip: float) -> Function:
    return lambda x: f(lg.clip(x, -clip, clip))


def _function(at: At, name: str, alphas: Iterator[float], betas: Iterator[float]) -> Function:
    if name in PLAIN:
        return PLAIN[name]
    if name in WITH_ALPHA:
        alpha, of_one = WITH_ALPHA[name]
        a = next(alphas, alpha)
        return lambda x: of_one(x, a)
    if name in WITH_BOTH:
        alpha, beta, of_two = WITH_BOTH[name]
        a, b = next(alphas, alpha), next(betas, beta)
        return lambda x: of_two(x, a, b)
    raise ExportError(report(f"cannot import {at.node}: there is no activation {name!r:.40}", at=here()))


@op("RNN")
def rnn(
    at: At,
    x: Any,
    w: Weight,
    r: Weight,
    b: Any = None,
    lengths: Any = None,
    h: Any = None,
    *,
    activation_alpha: Any,
    activation_beta: Any,
    activations: Any,
    clip: Any,
    direction: str,
    hidden_size: Any,
    layout: Any,
) -> Any:
    """A plain recurrent layer (Elman 1990)."""
    operands = {"x": x, "w": w, "r": r, "b": b, "lengths": lengths, "h": h, "p": None}
    return _recurrent(at, _rnn, 1, ("Tanh",), operands)


@op("GRU")
def gru(
    at: At,
    x: Any,
    w: Weight,
    r: Weight,
    b: Any = None,
    lengths: Any = None,
    h: Any = None,
    *,
    activation_alpha: Any,
    activation_beta: Any,
    activations: Any,
    clip: Any,
    direction: str,
    hidden_size: Any,
    layout: Any,
    linear_before_reset: Any,
) -> Any:
    """A layer of gated recurrent units."""
    operands = {"x": x, "w": w, "r": r, "b": b, "lengths": lengths, "h": h, "p": None}
    return _recurrent(at, _gru, 1, ("Sigmoid", "Tanh"), operands)


@op("LSTM")
def lstm(
    at: At,
    x: Any,
    w: Weight,
    r: Weight,
    b: Any = None,
    lengths: Any = None,
    h: Any = None,
    c: Any = None,
    p: Any = None,
    *,
    activation_alpha: Any,
    activation_beta: Any,
    activations: Any,
    clip: Any,
    direction: str,
    hidden_size: Any,
    input_forget: Any,
    layout: Any,
) -> Any:
    """A layer of long short-term memory."""
    operands = {"x": x, "w": w, "r": r, "b": b, "lengths": lengths, "h": h, "c": c, "p": p}
    return _recurrent(at, _lstm, 2, ("Sigmoid", "Tanh", "Tanh"), operands)
