"""Layers: functions with variables of their own. A model is a plain class that holds some."""

from lazygrad.nn.layers.attention import MultiHeadAttention, TransformerBlock
from lazygrad.nn.layers.base import Layer
from lazygrad.nn.layers.convolution import Conv2d, ConvTranspose2d
from lazygrad.nn.layers.dropout import Dropout
from lazygrad.nn.layers.embedding import Embedding
from lazygrad.nn.layers.linear import Linear
from lazygrad.nn.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from lazygrad.nn.layers.pooling import AvgPool2d, MaxPool2d, SumPool2d
from lazygrad.nn.layers.recurrent import GRU, LSTM, RNN
from lazygrad.nn.layers.sequential import Sequential

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "MultiHeadAttention",
    "Sequential",
    "SumPool2d",
    "TransformerBlock",
]
