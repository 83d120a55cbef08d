"""Every exception of lazygrad, and the one form in which they speak.

::

    LazygradError
    ├── DefinitionError(TypeError)   an op, rule or optimizer is declared wrongly (at import)
    ├── SpecError(ValueError)        shapes or dtypes do not fit (at the user's line)
    │                                PlaceError, an IndexError too: no axis can be put in there
    ├── GraphError(ValueError)       a tensor outlived its context; tensors of two graphs meet
    ├── GradientError(ValueError)    not differentiable
    ├── FeedError(LookupError)       missing, unknown or misshapen feed
    ├── VariableError(KeyError)      unknown, duplicate or misnamed variable
    ├── TraceError(RuntimeError)     a value was asked for while the graph is being written
    ├── FiniteError(FloatingPointError) a value is not finite, and check="finite" asked for it to be
    ├── LoopError(RuntimeError)      a loop takes more turns than it may
    ├── LateError(RuntimeError)      a step that was not waited for had failed
    ├── BackendError(RuntimeError)   a backend or a program (CuPy, a GPU, Graphviz) is not at hand
    │                                DeviceMemoryError, a MemoryError too: the GPU's memory is full
    ├── DataError(ValueError)        data that cannot be trained with: NaN, no rows, labels out of range
    ├── ExportError(ValueError)      a step has no form elsewhere, or what comes from there none here
    ├── SaveError(ValueError)        unknown version, missing variable, damaged file, unwritable path
    └── WorkerError(RuntimeError)    another worker has failed or ended, or does something else

A message has four parts, in this order: what failed, where the user said it, the values that
clashed, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lazygrad.origin import Origin

__all__ = [
    "BackendError",
    "DataError",
    "DeviceMemoryError",
    "DefinitionError",
    "ExportError",
    "FeedError",
    "FiniteError",
    "GradientError",
    "GraphError",
    "LateError",
    "LazygradError",
    "LoopError",
    "Origin",
    "PlaceError",
    "SaveError",
    "SpecError",
    "TraceError",
    "VariableError",
    "WorkerError",
    "nearest",
    "placed",
    "report",
]


class LazygradError(Exception):
    """The root of every exception that lazygrad raises on purpose."""


class DefinitionError(LazygradError, TypeError):
    """An op, a rule, an optimizer or a callback is declared wrongly."""


class SpecError(LazygradError, ValueError):
    """Shapes or dtypes do not fit together."""


class PlaceError(SpecError, IndexError):
    """An axis cannot be put in at that place: an IndexError too, as the array API standard asks."""


class GraphError(LazygradError, ValueError):
    """A tensor is used outside the graph it belongs to."""


class GradientError(LazygradError, ValueError):
    """A derivative was asked for where there is none."""


class FeedError(LazygradError, LookupError):
    """A feed is missing, unknown or does not fit its placeholder."""


class VariableError(LazygradError, KeyError):
    """A variable is unknown, registered twice, or its name is not usable."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes, on one line


class TraceError(LazygradError, RuntimeError):
    """A value was asked for where only the graph is known."""


class FiniteError(LazygradError, FloatingPointError):
    """What a step computes is not finite, and ``check="finite"`` asked for it to be; nothing was changed.

    Attributes:
        finding: where it begins, a :class:`~lazygrad.searching.Finding`.
    """

    finding: object = None


class LoopError(LazygradError, RuntimeError):
    """A loop takes more turns than it may; nothing was changed."""


class LateError(LazygradError, RuntimeError):
    """A step that was not waited for had failed; everything is as it was before that call.

    Attributes:
        lost: how many calls, the last ones, are as if they had not been.
    """

    def __init__(self, message: str = "", lost: int = 0) -> None:
        super().__init__(message)
        self.lost = lost


class BackendError(LazygradError, RuntimeError):
    """A backend, or a program that draws pictures, is not installed or does not work."""


class DeviceMemoryError(BackendError, MemoryError):
    """The memory of a GPU is full; nothing was changed."""


class DataError(LazygradError, ValueError):
    """Data, a start, or a setting that goes with them cannot be trained with, or solved from; nothing was changed."""


class ExportError(LazygradError, ValueError):
    """What a step has has no form elsewhere, or what a model from elsewhere has none here; nothing was written."""


class SaveError(LazygradError, ValueError):
    """A file cannot be written, read or understood; nothing was changed."""


class WorkerError(LazygradError, RuntimeError):
    """Another worker has failed or ended, or runs something else than this one; nothing was changed."""

    failure: Any = None  # what the other worker has told, if this follows from it


def report(what: str, *, at: Origin | None = None, facts: Iterable[str] = (), cure: str = "") -> str:
    """The four parts of a message: ``what`` failed, where, the ``facts`` that clashed, the ``cure``."""
    parts = [what]
    if at is not None and at.code is not None:
        parts.append(f"    {at}")
    body = [*facts, *([cure] if cure else [])]
    if body:
        parts.append("\n".join(f"    {line}" for line in body))
    return "\n\n".join(parts)


def nearest(name: object, known: Iterable[str]) -> str:
    """A sentence that names what the user may have meant, or what there is."""
    import difflib  # here, because few programs make a mistake

    names = list(known)
    folded = {n.casefold(): n for n in names}
    near = [folded[n] for n in difflib.get_close_matches(str(name).casefold(), folded, n=3, cutoff=0.5)]
    if near:
        return "Did you mean " + " or ".join(repr(n) for n in near) + "?"
    if not names:
        return "There are none yet."
    shown = ", ".join(repr(n) for n in names[:8])
    return f"There are: {shown}{', …' if len(names) > 8 else ''}."


def placed(kind: type[LazygradError], what: str, facts: Iterable[str] = (), cure: str = "") -> LazygradError:
    """An exception for a kernel to raise: whoever runs it knows where the user wrote the node, and says it there."""
    error = kind(report(what, facts=facts, cure=cure))
    error.unplaced = what, tuple(facts), cure  # type: ignore[attr-defined]
    return error
