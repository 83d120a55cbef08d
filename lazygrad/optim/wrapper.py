"""What is wrapped around an optimizer: it moves the same variables, and has the optimizer's settings."""

from __future__ import annotations

from typing import Any

from lazygrad.errors import DefinitionError, SpecError, report
from lazygrad.graph.registry import here
from lazygrad.optim.mover import Mover, no_attribute

__all__ = ["Wrapper", "whole"]


class Wrapper(Mover):
    """The base of what is wrapped around an optimizer.

    Its state lies below the optimizer's, under a word of its own.

    Raises:
        DefinitionError: what it is given is no optimizer, or one that has such a wrapper already.
    """

    optimizer: Any
    word: str  # under which its state lies

    def __init__(self, optimizer: Any) -> None:
        if not isinstance(optimizer, Mover):
            cure = "Give an optimizer, such as lg.optim.Adam(env)."
            what = f"cannot wrap {optimizer!r:.60}: it is not an optimizer"
            raise DefinitionError(report(what, at=here(), cure=cure))
        self.optimizer = optimizer
        self.env = optimizer.env
        self.wants_loss = optimizer.wants_loss
        self.env._store.whole(self._begin)

    def _begin(self) -> None:
        """Take the name, and register what there is from the start."""
        self.name = self.env._store.free_path(f"{self.optimizer.name}/{self.word}", "")
        self._register()
        self.env._store.names[self.name] = None

    def _register(self) -> None:
        """Register the state that does not belong to single parameters."""

    def _key(self) -> Any:
        return (*super()._key(), self.optimizer._key())

    def __getattr__(self, name: str) -> Any:
        """What only the optimizer has, such as ``step_count``."""
        if name.startswith("_") or "optimizer" not in self.__dict__:
            raise no_attribute(self, name)
        return getattr(self.optimizer, name)

    @property
    def learning_rate(self) -> Any:
        """That of the optimizer; settable."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.optimizer.learning_rate = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.optimizer!r}>"


def whole(key: str, value: Any, least: int) -> int:
    """A whole number; raises SpecError if it is none, or less than ``least``."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        cure = f"It is a whole number, {least} or more."
        raise SpecError(report(f"cannot use {value!r:.60} as {key}", at=here(), cure=cure))
    return int(value.__index__())
