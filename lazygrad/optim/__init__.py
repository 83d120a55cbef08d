"""Optimizers: each is one parameter's update, written as mathematics on tensors."""

import sys
from typing import TYPE_CHECKING

from lazygrad.names import lister, public, refuser
from lazygrad.optim import schedules
from lazygrad.optim.accumulation import accumulate
from lazygrad.optim.adafactor import Adafactor
from lazygrad.optim.adagrad import AdaGrad
from lazygrad.optim.adam import Adam, AdamW
from lazygrad.optim.averaging import average
from lazygrad.optim.base import Optimizer
from lazygrad.optim.clipping import clip_by_global_norm, clip_by_value, global_norm, normalize_gradient
from lazygrad.optim.lamb import Lamb
from lazygrad.optim.lbfgs import LBFGS
from lazygrad.optim.lion import Lion
from lazygrad.optim.muon import Muon
from lazygrad.optim.nadam import NAdam
from lazygrad.optim.radam import RAdam
from lazygrad.optim.rmsprop import RMSprop
from lazygrad.optim.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adafactor",
    "Lamb",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "accumulate",
    "average",
    "clip_by_global_norm",
    "clip_by_value",
    "global_norm",
    "normalize_gradient",
    "schedules",
]

public["lg.optim"], public["lg.optim.schedules"] = sys.modules[__name__], schedules
__dir__ = lister(__all__)
if not TYPE_CHECKING:  # type checkers know what there is
    __getattr__ = refuser("lg.optim")
