"""Steps that pickle or a copy has brought into another environment than that of the objects which they find.

``pickle`` and ``copy`` take a function for its name: what comes out is the function that is there, with the layers,
optimizers and variables that lie there in global names and cells. They belong to the environment there, and not to the
one that came with the step.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from lazygrad.step.context import Context

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Sent"]

T = TypeVar("T")


class Sent(functools.partial[Any]):
    """A step that came into its environment, in which objects of the one where it found itself stand for its own.

    All of them have to be of one environment, as where the step was written: the first that is met.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self._home: VariableEnvironment | None = None
        self._own: dict[int, tuple[Any, Any]] = {}  # of objects there, by identity: each, and its counterpart here
        functools.update_wrapper(self, step, updated=())

    def __call__(self, context: Context, /, *args: Any, **kwargs: Any) -> Any:
        """Write the step."""
        context.sent = self
        return super().__call__(context, *args, **kwargs)

    def stands(self, env: VariableEnvironment) -> bool:
        """Whether objects of ``env`` stand for those of the environment that runs the step."""
        if self._home is None:
            self._home = env
        return self._home is env

    def counterpart(self, there: T, env: VariableEnvironment) -> T:
        """What an object there, such as an optimizer, is in the environment that runs the step."""
        found = self._own.get(id(there))
        if found is None:
            assert self._home is not None
            here = env._store.variables
            known = {id(v): here[v.path] for v in self._home if v.path in here}
            found = self._own[id(there)] = there, copy.deepcopy(there, {**known, id(self._home): env})
        made: T = found[1]
        return made

    def __reduce__(self) -> Any:
        step = functools.partial(self.func, *self.args, **self.keywords) if self.args or self.keywords else self.func
        return Sent, (step,)
