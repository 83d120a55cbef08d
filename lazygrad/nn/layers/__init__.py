"""Layers: functions with variables of their own. A model is a plain class that holds some."""

from lazygrad.nn.layers.attention import MultiHeadAttention as MultiHeadAttention
from lazygrad.nn.layers.attention import TransformerBlock as TransformerBlock
from lazygrad.nn.layers.base import Layer as Layer
from lazygrad.nn.layers.convolution import Conv2d as Conv2d
from lazygrad.nn.layers.convolution import ConvTranspose2d as ConvTranspose2d
from lazygrad.nn.layers.dropout import Dropout as Dropout
from lazygrad.nn.layers.embedding import Embedding as Embedding
from lazygrad.nn.layers.linear import Linear as Linear
from lazygrad.nn.layers.normalization import BatchNorm as BatchNorm
from lazygrad.nn.layers.normalization import GroupNorm as GroupNorm
from lazygrad.nn.layers.normalization import LayerNorm as LayerNorm
from lazygrad.nn.layers.pooling import AvgPool2d as AvgPool2d
from lazygrad.nn.layers.pooling import MaxPool2d as MaxPool2d
from lazygrad.nn.layers.pooling import SumPool2d as SumPool2d
from lazygrad.nn.layers.recurrent import GRU as GRU
from lazygrad.nn.layers.recurrent import LSTM as LSTM
from lazygrad.nn.layers.recurrent import RNN as RNN
from lazygrad.nn.layers.sequential import Sequential as Sequential
