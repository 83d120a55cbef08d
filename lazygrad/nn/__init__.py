"""Neural networks: functions of tensors, which take parameters as arguments, and layers, which have their own."""

import sys
from typing import TYPE_CHECKING

from lazygrad.names import lister, public, refuser
from lazygrad.nn import initializers, metrics
from lazygrad.nn.activations import (
    elu,
    gelu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)
from lazygrad.nn.attention import scaled_dot_product_attention
from lazygrad.nn.convolution import conv2d, conv2d_transpose
from lazygrad.nn.ctc import ctc
from lazygrad.nn.distances import cosine, triplet
from lazygrad.nn.dropout import dropout
from lazygrad.nn.embedding import embedding, one_hot
from lazygrad.nn.focal import binary_focal_with_logits, focal
from lazygrad.nn.layers import (
    GRU,
    LSTM,
    RNN,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    MaxPool2d,
    MultiHeadAttention,
    Sequential,
    SumPool2d,
    TransformerBlock,
)
from lazygrad.nn.likelihoods import gaussian_nll, poisson_nll, quantile
from lazygrad.nn.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_squared_error,
    negative_log_likelihood,
)
from lazygrad.nn.normalization import batch_norm, group_norm, layer_norm, normalize, rms_norm
from lazygrad.nn.piecewise import (
    celu,
    glu,
    gumbel_softmax,
    hard_shrink,
    hard_sigmoid,
    hard_swish,
    rrelu,
    soft_shrink,
    softmin,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    tanh_shrink,
    threshold,
)
from lazygrad.nn.pooling import avg_pool2d, max_pool2d, sum_pool2d
from lazygrad.nn.windows import fold, windows

__all__ = [
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "GRU",
    "GroupNorm",
    "LSTM",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "MultiHeadAttention",
    "RNN",
    "Sequential",
    "SumPool2d",
    "TransformerBlock",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "binary_focal_with_logits",
    "celu",
    "conv2d",
    "conv2d_transpose",
    "cosine",
    "cross_entropy",
    "ctc",
    "dropout",
    "elu",
    "embedding",
    "focal",
    "fold",
    "gaussian_nll",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hard_shrink",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hinge",
    "huber",
    "initializers",
    "kl_divergence",
    "layer_norm",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "max_pool2d",
    "mean_absolute_error",
    "mean_squared_error",
    "metrics",
    "mish",
    "negative_log_likelihood",
    "normalize",
    "one_hot",
    "poisson_nll",
    "quantile",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "sum_pool2d",
    "tanh",
    "tanh_shrink",
    "threshold",
    "triplet",
    "windows",
]

public["lg.nn"], public["lg.nn.initializers"] = sys.modules[__name__], initializers
__dir__ = lister(__all__)
if not TYPE_CHECKING:  # type checkers know what there is
    __getattr__ = refuser("lg.nn")
