"""lazygrad: a lazy computation-graph autodiff engine.

Its names stand in :mod:`lazygrad.public`, which is imported when the first of them is used (decision 44). So
``import lazygrad.runtime`` needs NumPy alone, and takes milliseconds.
"""

import importlib as _importlib
import importlib.util as _util
import typing as _typing

__version__ = "0.1.0"

if _typing.TYPE_CHECKING:
    from lazygrad.public import *  # noqa: F403  type checkers and editors read the names there
else:

    def __getattr__(name):
        """A room, imported by itself; a public name; or an AttributeError that says what it is called here."""
        if name.startswith("_") and name != "__all__":  # Python and tools ask for these
            raise AttributeError(f"module 'lazygrad' has no attribute {name!r}")
        if _util.find_spec(f"lazygrad.{name}"):
            return _importlib.import_module(f"lazygrad.{name}")
        public = _importlib.import_module("lazygrad.public")
        globals().update({known: getattr(public, known) for known in ["__all__", *public.__all__]})
        return getattr(public, name)

    def __dir__():
        return sorted(__getattr__("__all__"))
