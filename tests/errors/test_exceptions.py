"""The tree of exceptions."""

from __future__ import annotations

import re

import lazygrad as lg
from lazygrad import errors


def test_the_tree_of_exceptions_is_the_one_that_is_documented() -> None:
    """Each is a LazygradError, and Python's kind of error that a caller would catch."""
    bases = {
        "DefinitionError": TypeError,
        "SpecError": ValueError,
        "GraphError": ValueError,
        "GradientError": ValueError,
        "FeedError": LookupError,
        "VariableError": KeyError,
        "TraceError": RuntimeError,
        "FiniteError": FloatingPointError,
        "LoopError": RuntimeError,
        "LateError": RuntimeError,
        "BackendError": RuntimeError,
        "DataError": ValueError,
        "ExportError": ValueError,
        "SaveError": ValueError,
        "WorkerError": RuntimeError,
    }
    drawn = dict(re.findall(r"── (\w+)\((\w+)\)", errors.__doc__ or ""))
    assert drawn == {name: base.__name__ for name, base in bases.items()}
    for name, base in bases.items():
        assert getattr(errors, name).__bases__ == (lg.LazygradError, base)
