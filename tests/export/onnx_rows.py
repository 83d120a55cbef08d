"""Rows of layers, activations and losses as models: what is exported, and the shapes that come in, for any batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg

nn = lg.nn

# fmt: off


class Row(NamedTuple):
    """A function of arrays, made in an environment; and the arrays, for a number of examples."""

    make: Callable[[Any], Callable[..., Any]]
    arrays: Callable[[Any, int], tuple[Any, ...]]


def floats(*shapes: tuple[int, ...]) -> Callable[[Any, int], tuple[Any, ...]]:
    """Normal numbers, of these shapes behind the batch."""
    return lambda rng, n: tuple([rng.standard_normal((n, *shape)).astype(np.float32) for shape in shapes])


def positive(rng: Any, n: int) -> tuple[Any, ...]:
    """Three arrays, of which the last is positive."""
    x, y, z = floats((5,), (5,), (5,))(rng, n)
    return x, y, np.abs(z) + 0.1


def labelled(*shape: int, count: int = 5) -> Callable[[Any, int], tuple[Any, ...]]:
    """Logits, and labels."""
    return lambda rng, n: (*floats((*shape, count))(rng, n), rng.integers(0, count, (n, *shape)))


def binary(rng: Any, n: int) -> tuple[Any, ...]:
    """Logits, and zeros and ones."""
    return (*floats((5,))(rng, n), rng.integers(0, 2, (n, 5)).astype(np.float32))


def distributions(rng: Any, n: int) -> tuple[Any, ...]:
    """Logits, and probabilities."""
    x, y = floats((5,), (5,))(rng, n)
    return x, np.exp(y) / np.exp(y).sum(-1, keepdims=True)


def lengths(rng: Any, n: int) -> tuple[Any, ...]:
    """Sequences of up to 6 steps, and how many each has."""
    return (*floats((6, 3))(rng, n), rng.integers(1, 7, n))


def transcripts(rng: Any, n: int) -> tuple[Any, ...]:
    """Logits of 8 steps, and 3 labels that are not blank."""
    return (*floats((8, 5))(rng, n), rng.integers(1, 5, (n, 3)))


def places(rng: Any, n: int) -> tuple[Any, ...]:
    """Labels of six."""
    return (rng.integers(0, 6, (n, 4)),)


IMAGE = floats((4, 9, 8))
SEQUENCE = floats((6, 3))
TEXT = floats((7, 8))

LAYERS: dict[str, Row] = {
    "Linear": Row(lambda env: nn.Linear(env, 6, 4), floats((6,))),
    "Linear without a bias": Row(lambda env: nn.Linear(env, 6, 4, use_bias=False), floats((3, 6))),
    "Conv2d": Row(lambda env: nn.Conv2d(env, 4, 6, 3), IMAGE),
    "Conv2d with strides": Row(lambda env: nn.Conv2d(env, 4, 6, (3, 2), stride=(2, 3), padding=1), IMAGE),
    "Conv2d dilated": Row(lambda env: nn.Conv2d(env, 4, 6, 3, dilation=(2, 1), padding=(2, 1)), IMAGE),
    "Conv2d in groups": Row(lambda env: nn.Conv2d(env, 4, 6, 3, groups=2), IMAGE),
    "Conv2d by channels": Row(lambda env: nn.Conv2d(env, 4, 4, 3, groups=4, padding="same"), IMAGE),
    "Conv2d of a row": Row(lambda env: nn.Conv2d(env, 4, 6, (1, 3), use_bias=False), floats((4, 1, 8))),
    "ConvTranspose2d": Row(lambda env: nn.ConvTranspose2d(env, 4, 6, 3), IMAGE),
    "ConvTranspose2d with strides": Row(
        lambda env: nn.ConvTranspose2d(env, 4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), IMAGE),
    "MaxPool2d": Row(lambda env: nn.MaxPool2d(env, 2), IMAGE),
    "MaxPool2d with strides": Row(lambda env: nn.MaxPool2d(env, 3, stride=2, padding=1), IMAGE),
    "MaxPool2d dilated": Row(lambda env: nn.MaxPool2d(env, 2, stride=1, dilation=2), IMAGE),
    "AvgPool2d": Row(lambda env: nn.AvgPool2d(env, 2), IMAGE),
    "AvgPool2d of what is there": Row(
        lambda env: nn.AvgPool2d(env, 3, stride=2, padding=1, count_include_pad=False), IMAGE),
    "SumPool2d": Row(lambda env: nn.SumPool2d(env, (2, 3), stride=1), IMAGE),
    "BatchNorm": Row(lambda env: nn.BatchNorm(env, 5), floats((5,))),
    "BatchNorm of images": Row(lambda env: nn.BatchNorm(env, 4), IMAGE),
    "LayerNorm": Row(lambda env: nn.LayerNorm(env, 5), floats((3, 5))),
    "LayerNorm of two axes": Row(lambda env: nn.LayerNorm(env, (3, 5)), floats((3, 5))),
    "GroupNorm": Row(lambda env: nn.GroupNorm(env, 4, 2), IMAGE),
    "Dropout": Row(lambda env: nn.Dropout(env, 0.5), floats((5,))),
    "Embedding": Row(lambda env: nn.Embedding(env, 6, 3), places),
    "RNN": Row(lambda env: nn.RNN(env, 3, 5), SEQUENCE),
    "RNN of several lengths": Row(lambda env: _lengths(nn.RNN(env, 3, 5)), lengths),
    "LSTM": Row(lambda env: nn.LSTM(env, 3, 5), SEQUENCE),
    "LSTM in two directions": Row(lambda env: nn.LSTM(env, 3, 5, layers=2, bidirectional=True), SEQUENCE),
    "LSTM of several lengths": Row(lambda env: _lengths(nn.LSTM(env, 3, 5, bidirectional=True)), lengths),
    "GRU": Row(lambda env: nn.GRU(env, 3, 5), SEQUENCE),
    "GRU of two layers": Row(lambda env: nn.GRU(env, 3, 5, layers=2), SEQUENCE),
    "MultiHeadAttention": Row(lambda env: nn.MultiHeadAttention(env, 8, 2), TEXT),
    "MultiHeadAttention to another source": Row(lambda env: nn.MultiHeadAttention(env, 8, 2), floats((7, 8), (5, 8))),
    "MultiHeadAttention, causal": Row(lambda env: _causal(nn.MultiHeadAttention(env, 8, 2)), TEXT),
    "TransformerBlock": Row(lambda env: nn.TransformerBlock(env, 8, 2), TEXT),
    "TransformerBlock, causal": Row(lambda env: nn.TransformerBlock(env, 8, 2, causal=True, rate=0.1), TEXT),
    "Sequential": Row(
        lambda env: nn.Sequential(
            nn.Conv2d(env, 4, 6, 3), nn.relu, nn.MaxPool2d(env, 2), _flat,
            nn.Linear(env, 54, 3), nn.softmax),
        IMAGE),
}


def _causal(layer: Any) -> Any:
    return lambda x: layer(x, causal=True)


def _flat(x: Any) -> Any:
    return lg.reshape(x, (x.shape[0], -1))


def _lengths(layer: Any) -> Any:
    return lambda x, lengths: layer(x, lengths=lengths)


def of(function: Callable[..., Any], **settings: Any) -> Callable[[Any], Callable[..., Any]]:
    """A function that has no variables."""
    return lambda env: lambda *xs: function(*xs, **settings)


FUNCTIONS: dict[str, Row] = {
    "gelu": Row(of(nn.gelu, approximate="tanh"), floats((5,))),
    "dropout": Row(of(nn.dropout, rate=0.5, train=False), floats((5,))),
    "threshold": Row(of(nn.threshold, threshold=0.1, value=-1.0), floats((5,))),
    "glu": Row(of(nn.glu), floats((6,))),
    "conv2d": Row(of(nn.conv2d, stride=2), lambda rng, n: (*IMAGE(rng, n), np.ones((3, 4, 2, 2), np.float32))),
    "conv2d_transpose": Row(
        of(nn.conv2d_transpose, stride=2), lambda rng, n: (*IMAGE(rng, n), np.ones((4, 3, 2, 2), np.float32))),
    "max_pool2d": Row(of(nn.max_pool2d, window=2), IMAGE),
    "avg_pool2d": Row(of(nn.avg_pool2d, window=2), IMAGE),
    "sum_pool2d": Row(of(nn.sum_pool2d, window=2), IMAGE),
    "windows": Row(of(nn.windows, size=2), IMAGE),
    "fold": Row(lambda env: lambda x: nn.fold(nn.windows(x, 2), (9, 8)), IMAGE),
    "batch_norm": Row(of(nn.batch_norm), IMAGE),
    "group_norm": Row(of(nn.group_norm, groups=2), IMAGE),
    "layer_norm": Row(of(nn.layer_norm), floats((5,))),
    "embedding": Row(
        of(lambda labels, table: nn.embedding(table, labels)),
        lambda rng, n: (*places(rng, n), np.arange(18, dtype=np.float32).reshape(6, 3))),
    "one_hot": Row(of(nn.one_hot, count=6), places),
    "scaled_dot_product_attention": Row(of(nn.scaled_dot_product_attention), floats((7, 4), (6, 4), (6, 4))),
    "cross_entropy": Row(of(nn.cross_entropy), labelled()),
    "cross_entropy of weighted classes": Row(
        of(nn.cross_entropy, weight=np.arange(1, 6, dtype=np.float32), ignore_index=2, label_smoothing=0.1),
        labelled(3)),
    "cross_entropy of probabilities": Row(of(nn.cross_entropy), distributions),
    "focal": Row(of(nn.focal), labelled()),
    "negative_log_likelihood": Row(
        of(lambda x, y: nn.negative_log_likelihood(nn.log_softmax(x), y)), labelled()),
    "binary_cross_entropy_with_logits": Row(of(nn.binary_cross_entropy_with_logits), binary),
    "binary_focal_with_logits": Row(of(nn.binary_focal_with_logits), binary),
    "kl_divergence": Row(of(nn.kl_divergence), distributions),
    "gaussian_nll": Row(of(nn.gaussian_nll, full=True), positive),
    "poisson_nll": Row(of(nn.poisson_nll, full=True), lambda rng, n: (*floats((5,))(rng, n), *positive(rng, n)[2:])),
    "ctc": Row(of(nn.ctc), transcripts),
    "ctc without labels": Row(of(nn.ctc), lambda rng, n: (*floats((8, 5))(rng, n), np.zeros((n, 0), np.int64))),
    "ctc of several lengths": Row(
        of(lambda x, y, ends, sizes: nn.ctc(x, y, ends, sizes)),
        lambda rng, n: (*transcripts(rng, n), rng.integers(6, 9, n), rng.integers(0, 4, n))),
    "the gradient of ctc": Row(of(lambda x, y: lg.grad(lg.mean(nn.ctc(x, y)), x)), transcripts),
    "the gradient of the slope of ctc": Row(
        of(lambda x, y: lg.grad(lg.sum(lg.square(lg.grad(lg.sum(nn.ctc(x, y)), x))), x)), transcripts),
    "triplet": Row(of(nn.triplet, swap=True), floats((5,), (5,), (5,))),
    "the mean of a loss and its gradient": Row(
        of(lambda x, y: (loss := lg.mean(nn.cross_entropy(x, y)), lg.grad(loss, x))), labelled()),
    "rrelu": Row(of(nn.rrelu), floats((5,))),
}
PAIRS = ("cosine", "hinge", "huber", "mean_absolute_error", "mean_squared_error", "quantile")
FUNCTIONS |= {name: Row(of(getattr(nn, name)), floats((5,), (5,))) for name in PAIRS}

# What is refused, and what the message says.
REFUSED = {
    "gumbel_softmax": "random",
}
