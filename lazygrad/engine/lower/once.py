"""A property that is worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Once"]

T = TypeVar("T")


class Once(Generic[T]):
    """A property that is worked out once; without the lock of :func:`functools.cached_property`."""

    def __init__(self, work: Callable[[Any], T]) -> None:
        self._work, self._name, self.__doc__ = work, work.__name__, work.__doc__

    def __get__(self, owner: Any, kind: Any = None) -> T:
        found = owner.__dict__[self._name] = self._work(owner)
        return found
