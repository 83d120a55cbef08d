"""The formulas of optimizers in NumPy, and each optimizer beside its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import lazygrad as lg

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
