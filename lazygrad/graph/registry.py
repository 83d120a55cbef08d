"""The functions of the language by name, and the user's line that calls them."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lazygrad.errors import Origin

if TYPE_CHECKING:
    from lazygrad.graph.tensor import Tensor

__all__ = ["function", "functions", "here", "level", "author", "unsigned"]

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = str(Path(__file__).parents[1]) + os.sep


class _Functions(dict[str, Callable[..., "Tensor"]]):
    """The one knot: a Tensor's operators need ops, and ops need Tensor.

    Every public function puts itself in here under its name, and ``Tensor.__add__`` looks "add" up when it is called.
    """

    def __missing__(self, name: str) -> Callable[..., Tensor]:
        everything = self.whole()
        if name not in everything:
            raise KeyError(name)
        return everything[name]

    def whole(self) -> _Functions:
        """All of them, also where only rooms below them have been imported, as an unpickled graph does."""
        importlib.import_module("lazygrad.public")
        return self


functions = _Functions()


def function(f: F) -> F:
    """Register ``f``, a composition of ops, as a public function of the language."""
    functions[f.__name__] = f
    return f


class _Author(threading.local):
    """What is writing nodes in this thread.

    Attributes:
        layer: the path of the layer; empty, if it is none.
    """

    layer = ""


author = _Author()


def unsigned(function: Any) -> Any:
    """A function as it was written, of one that marks what it writes as its layer's; any other one as it is."""
    return getattr(function, "_unsigned", function)


def here(part: str = "forward") -> Origin:
    """The line outside lazygrad that is being executed."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_back is None:
            return Origin(None, 0, part, author.layer)
        frame = frame.f_back
    return Origin(frame.f_code, frame.f_lasti, part, author.layer)


def level() -> int:
    """The ``stacklevel`` with which a warning of the caller is one of the line outside lazygrad."""
    frame, found = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, found = frame.f_back, found + 1
    return found
