"""Networks as scikit-learn estimators. Not imported by ``import lazygrad``: it needs scikit-learn."""

from lazygrad.sklearn.estimators import Classifier, Regressor
from lazygrad.sklearn.network import Network

__all__ = ["Classifier", "Network", "Regressor"]
