"""Networks as scikit-learn estimators. Not imported by ``import lazygrad``: it needs scikit-learn."""

from lazygrad.sklearn.classifier import Classifier
from lazygrad.sklearn.ensemble import Ensemble
from lazygrad.sklearn.network import Autoencoder, Network
from lazygrad.sklearn.regressor import Regressor
from lazygrad.sklearn.transformer import Transformer

__all__ = ["Autoencoder", "Classifier", "Ensemble", "Network", "Regressor", "Transformer"]
