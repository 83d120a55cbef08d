"""Rows of ``lazygrad.nn``; its own tests go further."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as special
from numpy.lib.stride_tricks import sliding_window_view
from rows import CUBE, FLOATS, Case, X, apart, away, elementwise, grid, real, row, whole

import lazygrad as lg
from lazygrad.nn.recursion import _backward, _forward

nn = lg.nn

# fmt: off


def activation(name: str, reference: Any, domain: Any = None, ulps: float = 8, **settings: Any) -> Case:
    """A row for a function of each element; by default away from the kink at 0."""
    return elementwise(
        f"nn.{name}", lambda x: reference(x).astype(x.dtype), domain or away(), call=getattr(nn, name), ulps=ulps,
        dtypes=FLOATS, **settings,
    )


def _windows(x: Any, size: int) -> Any:
    return sliding_window_view(x, (size, size), axis=(-2, -1))


def _correlated(x: Any, w: Any) -> Any:
    return np.einsum("ncijhw,kchw->nkij", _windows(x, w.shape[-1]), w)


def _full(x: Any, w: Any) -> Any:
    side = w.shape[-1] - 1
    padded = np.pad(x, [(0, 0), (0, 0), (side, side), (side, side)])
    return _correlated(padded, np.swapaxes(w[..., ::-1, ::-1], 0, 1))


def _normalized(x: Any, axis: Any = -1, eps: float = 1e-5) -> Any:
    return ((x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)).astype(x.dtype)


def _folded(columns: Any) -> Any:
    out = np.zeros((4, 4), columns.dtype)
    for i in range(3):
        for j in range(3):
            out[i : i + 2, j : j + 2] += columns[i, j]
    return out


def _attention(q: Any, k: Any, v: Any) -> Any:
    return special.softmax(q @ k.T / np.sqrt(q.dtype.type(q.shape[-1])), axis=-1) @ v


def _focal(x: Any) -> Any:
    surprise = -special.log_softmax(x, axis=1)[range(3), LABELS]
    return (-np.expm1(-surprise)) ** 2 * surprise


def _binary_focal(x: Any, t: Any) -> Any:
    p = special.expit(x)
    losses = np.logaddexp(0, x).astype(x.dtype) - t * x
    return ((0.25 * t + 0.75 * (1 - t)) * (t * (1 - p) + (1 - t) * p) ** 2 * losses).astype(x.dtype)


def _triplet(a: Any, b: Any, c: Any) -> Any:
    return np.maximum(0, np.sqrt(np.sum((a - b) ** 2, -1)) - np.sqrt(np.sum((a - c) ** 2, -1)) + 4)


def _ctc(x: Any) -> Any:
    """Of the labels 1, 2 in three times there are five alignments, of 2, 2 one."""
    p = special.softmax(x.astype(np.float64), axis=2)
    read = [(0, 1, 2), (1, 0, 2), (1, 2, 0), (1, 1, 2), (1, 2, 2)]
    found = [sum(p[0, [0, 1, 2], path].prod() for path in read), p[1, [0, 1, 2], [2, 0, 2]].prod()]
    return -np.log(found).astype(x.dtype)


def _steps_of(w: Any) -> Any:
    """For every example and time the matrix that goes on from the states of the time before."""
    return sum(np.einsum("nts,sr->ntsr", w[k], np.eye(w.shape[-1], k=-k)) for k in range(3)).astype(w.dtype)


def _gone_on(u: Any, w: Any) -> Any:
    out = u.copy()
    for t in range(1, u.shape[1]):
        out[:, t] += np.einsum("nsr,nr->ns", _steps_of(w)[:, t], out[:, t - 1])
    return out


def _gone_back(g: Any, w: Any) -> Any:
    out = g.copy()
    for t in range(g.shape[1] - 2, -1, -1):
        out[:, t] += np.einsum("nsr,ns->nr", _steps_of(w)[:, t + 1], out[:, t + 1])
    return out


LABELS = np.array([2, 0, 3])
IMAGES = (real(), (2, 3, 5, 5))
POOLED = (real(), (1, 2, 4, 4))
LOGITS, TARGETS = (real(), (3, 4)), (real(0.1, 0.9), (3, 4))
ROUNDED = 16

NN = [
    activation("relu", lambda x: np.maximum(x, 0), ulps=0),
    activation("relu6", lambda x: np.clip(x, 0, 6), grid(0.5, -3, 9), ulps=0),
    activation("hard_tanh", lambda x: np.clip(x, -1, 1), grid(0.5), ulps=0),
    activation("leaky_relu", lambda x: np.where(x > 0, x, x.dtype.type(0.01) * x)),
    activation("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
    activation("selu", lambda x: 1.0507009873554804934193349852946
               * np.where(x > 0, x, 1.6732632423543772848170429916717 * np.expm1(x))),
    activation("gelu", lambda x: x * special.ndtr(x)),
    activation("celu", lambda x: np.where(x > 0, x, np.expm1(x))),
    activation("hard_sigmoid", lambda x: np.clip(x + 3, 0, 6) / 6),
    activation("hard_swish", lambda x: x * np.clip(x + 3, 0, 6) / 6),
    activation("hard_shrink", lambda x: np.where(np.abs(x) > 0.5, x, 0), grid(0.3), ulps=0),
    activation("soft_shrink", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), grid(0.3)),
    activation("tanh_shrink", lambda x: x - np.tanh(x)),
    activation("sparse_plus", lambda x: np.where(x > 1, x, (np.clip(x, -1, 1) + 1) ** 2 / 4), grid(0.3)),
    activation("sparse_sigmoid", lambda x: np.clip((x + 1) / 2, 0, 1), grid(0.3)),
    activation("squareplus", lambda x: (x + np.sqrt(x * x + 4)) / 2),
    activation("rrelu", lambda x: np.where(x > 0, x, x.dtype.type(11 / 48) * x)),
    elementwise("nn.threshold", lambda x: np.where(x > 0.5, x, x.dtype.type(-1)), grid(0.3), ulps=0, dtypes=FLOATS,
                call=lambda x: nn.threshold(x, 0.5, -1.0)),
    row("nn.glu", nn.glu, lambda x: (x[:, :2] * special.expit(x[:, 2:])).astype(x.dtype), X, ulps=8),
    row("nn.softmin", nn.softmin, lambda x: special.softmax(-x, axis=-1), X, ulps=8),
    activation("sigmoid", special.expit, real()),
    activation("log_sigmoid", special.log_expit, real()),
    activation("silu", lambda x: x * special.expit(x), real()),
    activation("softplus", lambda x: np.logaddexp(x, x.dtype.type(0)), real()),
    activation("softsign", lambda x: x / (1 + np.abs(x))),
    activation("mish", lambda x: x * np.tanh(np.logaddexp(x, x.dtype.type(0))), real()),
    row("nn.softmax", nn.softmax, lambda x: special.softmax(x, axis=-1), X, ulps=ROUNDED),
    row("nn.log_softmax", nn.log_softmax, lambda x: special.log_softmax(x, axis=-1), X, ulps=ROUNDED),
    row("nn.normalize", nn.normalize, _normalized, X, ulps=ROUNDED),
    row("nn.layer_norm", nn.layer_norm, lambda x, a, b: _normalized(x) * a + b, X, (real(), (4,)), (real(), (4,)),
        ulps=ROUNDED),
    row("nn.rms_norm", nn.rms_norm, lambda x, a: (x / np.sqrt(np.mean(x**2, -1,
        keepdims=True) + 1e-5)).astype(x.dtype) * a, X,
        (real(), (4,)), ulps=ROUNDED),
    row("nn.batch_norm", nn.batch_norm, lambda x, a, b: _normalized(x, 0) * a + b, X, (real(), (4,)), (real(), (4,)),
        ulps=ROUNDED),
    row("nn.group_norm", lambda x: nn.group_norm(x, 2),
        lambda x: _normalized(x.reshape(2, 2, -1)).reshape(x.shape), (real(), (2, 4, 3)), ulps=ROUNDED),
    row("nn.mean_squared_error", nn.mean_squared_error, lambda p, t: (p - t) ** 2, X, X, ulps=ROUNDED),
    row("nn.mean_absolute_error", nn.mean_absolute_error, lambda p, t: np.abs(p - t), (grid(), (3, 4)),
        (grid(0.4), (3, 4)), ulps=ROUNDED),
    row("nn.huber", nn.huber, lambda p, t: special.huber(1.0, p - t).astype(p.dtype), (grid(), (3, 4)),
        (grid(0.4), (3, 4)), ulps=ROUNDED),
    row("nn.hinge", nn.hinge, lambda p, t: np.maximum(0, 1 - t * p), (grid(), (3, 4)),
        (grid(0.4), (3, 4)), ulps=ROUNDED),
    row("nn.binary_cross_entropy_with_logits", nn.binary_cross_entropy_with_logits,
        lambda x, t: np.logaddexp(0, x).astype(x.dtype) - t * x, LOGITS, TARGETS, ulps=ROUNDED),
    row("nn.cross_entropy", nn.cross_entropy, lambda x, t: -np.sum(t * special.log_softmax(x, axis=1), axis=1),
        LOGITS, TARGETS,
        ulps=ROUNDED),
    row("nn.cross_entropy", lambda x: nn.cross_entropy(x, LABELS), lambda x: -special.log_softmax(x, axis=1)[range(3),
        LABELS],
        LOGITS, label="labels", ulps=ROUNDED),
    row("nn.kl_divergence", nn.kl_divergence,
        lambda x, t: np.sum(t * (np.log(t) - special.log_softmax(x, axis=1)), axis=1), LOGITS, TARGETS, ulps=ROUNDED),
    row("nn.focal", lambda x: nn.focal(x, LABELS), _focal, LOGITS, ulps=64),
    row("nn.binary_focal_with_logits", lambda x, t: nn.binary_focal_with_logits(x, t, alpha=0.25), _binary_focal,
        LOGITS, TARGETS, ulps=64),
    row("nn.poisson_nll", lambda s, t: nn.poisson_nll(s, t, full=True),
        lambda s, t: (np.exp(s) - t * s + special.gammaln(t + 1)).astype(s.dtype), X, TARGETS, ulps=64),
    row("nn.gaussian_nll", nn.gaussian_nll, lambda m, t, v: 0.5 * (np.log(v) + (t - m) ** 2 / v), X, X,
        (real(0.5, 2), (3, 4)), ulps=64),
    row("nn.quantile", lambda p, t: nn.quantile(p, t, 0.3), lambda p, t: np.maximum(p.dtype.type(0.3) * (t - p),
        p.dtype.type(-0.7) * (t - p)), (grid(), (3, 4)), (grid(0.4), (3, 4)), ulps=ROUNDED),
    row("nn.cosine", nn.cosine, lambda a, b: 1 - np.sum(a * b, -1) / np.sqrt(np.sum(a * a, -1) * np.sum(b * b, -1)),
        X, X, ulps=64),
    row("nn.triplet", lambda a, b, c: nn.triplet(a, b, c, margin=4.0), _triplet, X, X, X, ulps=64),
    row("_forward", _forward, _gone_on, (real(), (2, 3, 4)), (real(0, 1), (3, 2, 3, 4)), ulps=64,
        dtypes=("float32", "float64")),
    row("_backward", _backward, _gone_back, (real(), (2, 3, 4)), (real(0, 1), (3, 2, 3, 4)), ulps=64,
        dtypes=("float32", "float64")),
    row("nn.ctc", lambda x: nn.ctc(x, np.array([[1, 2], [2, 2]])), _ctc, (real(), (2, 3, 3)), ulps=64),
    row("nn.negative_log_likelihood", lambda x: nn.negative_log_likelihood(x, LABELS), lambda x: -x[range(3), LABELS],
        X),
    row("nn.one_hot", lambda i: nn.one_hot(i, 4, "float64"), lambda i: np.eye(4)[i], (whole(0, 4), (2, 3)), order=0,
        dtypes=("float64",)),
    row("nn.embedding", nn.embedding, lambda table, i: table[i], X, (whole(0, 3), (2, 5))),
    row("nn.dropout", lambda x: nn.dropout(x, 0.5, train=False), lambda x: x, X, label="at rest"),
    row("nn.scaled_dot_product_attention", nn.scaled_dot_product_attention, _attention, X, (real(), (5, 4)), (real(),
        (5, 2)),
        ulps=ROUNDED),
    row("nn.conv2d", nn.conv2d, _correlated, IMAGES, (real(), (4, 3, 3, 3)), ulps=64),
    row("nn.conv2d_transpose", nn.conv2d_transpose, _full, (real(), (2, 3, 3, 3)), (real(), (3, 2, 2, 2)), ulps=64),
    row("nn.windows", lambda x: nn.windows(x, 2), lambda x: _windows(x, 2), CUBE),
    row("nn.fold", lambda c: nn.fold(c, (4, 4)), _folded, (real(), (3, 3, 2, 2)), ulps=4),
    row("nn.max_pool2d", lambda x: nn.max_pool2d(x, 2), lambda x: _windows(x, 2)[..., ::2, ::2, :, :].max((-2, -1)),
        (apart, (1, 2, 4, 4))),
    row("nn.avg_pool2d", lambda x: nn.avg_pool2d(x, 2), lambda x: _windows(x, 2)[..., ::2, ::2, :, :].mean((-2, -1)),
        POOLED,
        ulps=4),
    row("nn.sum_pool2d", lambda x: nn.sum_pool2d(x, 2), lambda x: _windows(x, 2)[..., ::2, ::2, :, :].sum((-2, -1)),
        POOLED,
        ulps=4),
]
