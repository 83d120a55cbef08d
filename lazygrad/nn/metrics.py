"""Metrics: the functions of ``sklearn.metrics``, by their names there.

``lg.nn.metrics.f1_score`` is scikit-learn's. They compute with NumPy arrays, outside of steps, and are not
differentiated; ``lg.fit(metrics=["accuracy", "f1_score"])`` takes them of the whole validation set after every epoch.
scikit-learn is imported at the first use: ``pip install "lazygrad[sklearn]"``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad.errors import BackendError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.names import publish as _publish

__all__ = ["named"]

_ENDINGS = ("", "_score", "_error", "_loss")


def named(name: str) -> Callable[..., Any]:
    """The metric that scikit-learn calls ``name``; ``"accuracy"`` is ``accuracy_score``.

    Raises:
        AttributeError: there is none.
        BackendError: scikit-learn is not installed.
    """
    known = _sklearn()
    found = next((f for ending in _ENDINGS if callable(f := getattr(known, name + ending, None))), None)
    if found is None or name.startswith("_"):
        cure = nearest(name, known.__all__)
        raise AttributeError(report(f"scikit-learn has no metric {name!r}", at=here(), cure=cure))
    return found  # type: ignore[no-any-return]


def _sklearn() -> Any:
    try:
        import sklearn.metrics
    except ImportError:
        cure = 'Install it: pip install "lazygrad[sklearn]".'
        raise BackendError(report("cannot use metrics: scikit-learn is not installed", at=here(), cure=cure)) from None
    return sklearn.metrics


def __getattr__(name: str) -> Any:
    if name.startswith("_"):  # Python and tools ask for these
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return named(name)


def __dir__() -> list[str]:
    try:
        return sorted([*__all__, *_sklearn().__all__])
    except BackendError:
        return list(__all__)


_publish(__name__, "lg.nn.metrics", advised=False)  # ")
