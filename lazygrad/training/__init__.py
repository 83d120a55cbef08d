"""Training: epochs of mini-batches, what is measured on the way, and how to go on after an interruption."""

from lazygrad.training.callbacks import BestWeights, Callback, EarlyStopping
from lazygrad.training.categories import Categories
from lazygrad.training.fit import fit
from lazygrad.training.history import History
from lazygrad.training.plateau import ReduceOnPlateau
from lazygrad.training.progress import Training
from lazygrad.training.rows import batches

__all__ = [
    "BestWeights",
    "Callback",
    "Categories",
    "EarlyStopping",
    "History",
    "ReduceOnPlateau",
    "Training",
    "batches",
    "fit",
]
