"""Training: epochs of mini-batches, what is measured on the way, and how to go on after an interruption."""

from lazygrad.training.callbacks import BestWeights as BestWeights
from lazygrad.training.callbacks import Callback as Callback
from lazygrad.training.callbacks import EarlyStopping as EarlyStopping
from lazygrad.training.categories import Categories as Categories
from lazygrad.training.fit import fit as fit
from lazygrad.training.history import History as History
from lazygrad.training.logs import CSVLog as CSVLog
from lazygrad.training.logs import JSONLog as JSONLog
from lazygrad.training.logs import TensorBoard as TensorBoard
from lazygrad.training.plateau import ReduceOnPlateau as ReduceOnPlateau
from lazygrad.training.progress import Training as Training
from lazygrad.training.rows import batches as batches
