"""Optimizers: each is one parameter's update, written as mathematics on tensors."""

from lazygrad.names import publish as _publish
from lazygrad.optim import schedules as schedules
from lazygrad.optim.accumulation import accumulate as accumulate
from lazygrad.optim.adafactor import Adafactor as Adafactor
from lazygrad.optim.adagrad import AdaGrad as AdaGrad
from lazygrad.optim.adam import Adam as Adam
from lazygrad.optim.adam import AdamW as AdamW
from lazygrad.optim.averaging import average as average
from lazygrad.optim.base import Optimizer as Optimizer
from lazygrad.optim.clipping import clip_by_global_norm as clip_by_global_norm
from lazygrad.optim.clipping import clip_by_value as clip_by_value
from lazygrad.optim.clipping import global_norm as global_norm
from lazygrad.optim.clipping import normalize_gradient as normalize_gradient
from lazygrad.optim.lamb import Lamb as Lamb
from lazygrad.optim.lbfgs import LBFGS as LBFGS
from lazygrad.optim.lion import Lion as Lion
from lazygrad.optim.muon import Muon as Muon
from lazygrad.optim.nadam import NAdam as NAdam
from lazygrad.optim.radam import RAdam as RAdam
from lazygrad.optim.rmsprop import RMSprop as RMSprop
from lazygrad.optim.sgd import SGD as SGD

_publish(__name__, "lg.optim")
