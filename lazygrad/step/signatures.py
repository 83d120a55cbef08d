"""What a compiled step has been compiled for, argument by argument, to say so where it matters."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from lazygrad.graph.registry import level
from lazygrad.graph.spec import Spec
from lazygrad.trees import leaves
from lazygrad.values.foreign import dtype_of

__all__ = ["MANY", "Signatures"]

PATHS = 256  # arguments, and leaves of arguments, of which kinds are remembered
MANY = 8  # kinds of one argument; with more, something is probably wrong


NOTHING: Mapping[str, str] = MappingProxyType({})


class Signatures:
    """The kinds of each argument that a step was compiled for."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = step
        self._seen: dict[str, dict[str, None]] = {}  # for every argument its kinds, in order
        self._warned = False

    def add(self, args: tuple[Any, ...], kwargs: dict[str, Any], read: Mapping[str, str] = NOTHING) -> None:
        """Note one more signature; warn once if an argument, or a value that the step reads, was of too many kinds."""
        kinds = {f"argument {name!r}": kind for name, kind in self._kinds(args, kwargs).items()}
        for name, kind in {**kinds, **{f"{name!r}, which it reads": kind for name, kind in read.items()}}.items():
            if len(self._seen) > PATHS:
                break
            seen = self._seen.setdefault(name, {})
            if len(seen) <= MANY:
                seen[kind] = None
            if len(seen) > MANY and not self._warned:
                self._warned = True
                listed = ", ".join(list(seen)[-3:])
                warnings.warn(
                    f"{getattr(self._step, '__name__', 'a step')} has been compiled for more than {MANY} kinds of "
                    f"{name}, lately {listed}. Every kind is compiled anew: pad or drop ragged batches, "
                    "pass numbers that change as arrays (np.asarray(x)), and keep what does not matter out of the "
                    "arguments.",
                    RuntimeWarning,
                    stacklevel=level(),
                )

    def explain(self, reason: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Add to an error which arguments are not what the step was compiled for before."""
        for name, kind in self._kinds(args, kwargs).items():
            seen = list(self._seen.get(f"argument {name!r}", ()))
            if seen and kind not in seen:
                reason.add_note(f"argument {name!r} is {kind}; the step was compiled for {', '.join(seen[-3:])}")

    def _kinds(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
        """For every array or value among the arguments what the signature has of it."""
        found = {}
        for name, argument in {**dict(zip(self._names(len(args)), args, strict=False)), **kwargs}.items():
            for path, leaf in leaves(argument, name):
                if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
                    found[path] = str(Spec(tuple(leaf.shape), dtype_of(leaf)))
                else:
                    found[path] = f"{leaf!r:.40}"
        return found

    def _names(self, count: int) -> list[str]:
        """What the step calls its first ``count`` arguments after the context."""
        try:
            parameters = list(inspect.signature(self._step).parameters.values())[1:]
        except (TypeError, ValueError):
            parameters = []
        names = []
        for k in range(count):
            several = [p for p in parameters[: k + 1] if p.kind is p.VAR_POSITIONAL]
            if several:
                names.append(f"{several[0].name}[{k - parameters.index(several[0])}]")
            else:
                names.append(parameters[k].name if k < len(parameters) else f"argument {k}")
        return names
