"""lazygrad: a lazy computation-graph autodiff engine."""

from lazygrad import define, errors, linalg, nn, optim, testing, visualize
from lazygrad.environment import VariableEnvironment
from lazygrad.errors import *
from lazygrad.evaluator import Update, group
from lazygrad.gradient import *
from lazygrad.graph import Graph, Tensor
from lazygrad.ops.arithmetic import *
from lazygrad.ops.comparison import *
from lazygrad.ops.cumulative import *
from lazygrad.ops.elementary import *
from lazygrad.ops.indexing import *
from lazygrad.ops.movement import *
from lazygrad.ops.passing import *
from lazygrad.ops.products import *
from lazygrad.ops.reduction import *
from lazygrad.ops.sorting import *
from lazygrad.ops.source import *
from lazygrad.ops.special import *
