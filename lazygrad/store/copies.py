"""Copies of an environment, and what a pickle has of it."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np

from lazygrad.errors import GraphError, report
from lazygrad.graph.registry import here
from lazygrad.pickled import checked, stamped
from lazygrad.store.store import Store

__all__ = ["Copied"]


class Copied:
    """What can be copied, and pickled, whole; an environment is."""

    _store: Store
    _seed_chosen: bool
    backend: Any
    dtype: np.dtype[Any]
    _own: ClassVar[frozenset[str]] = frozenset()  # the attributes that every environment has

    def _begin(self, backend: Any, seed: Any, dtype: Any) -> None:
        raise NotImplementedError

    def copy(self) -> Self:
        """A whole environment of its own: variables, random state, names of layers and optimizers.

        What the one does changes nothing in the other, and both draw the same numbers from now on. ``copy.copy`` and
        ``copy.deepcopy`` do the same; layers and optimizers that are copied in one go with it, as in
        ``copy.deepcopy((env, network, adam))``, belong to the copy. ``pickle`` likewise, but what
        is unpickled is one worker alone.

        Raises:
            GraphError: a step is being written or evaluated.
        """
        return self.__deepcopy__({})

    def to_dict(self) -> dict[str, Any]:
        """A NumPy array of every variable by its path, in order of registration; each is a copy.

        Of workers that share out the state of optimizers all must ask.
        """
        with self._store.lock:
            self._store.settle()
            parity, to_numpy = self._store.state[0], self._store.backend.to_numpy
            return {v.path: np.array(to_numpy(self._store.whole_array(v, parity))) for v in self._store}

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = memo[id(self)] = type(self).__new__(type(self))
        state = self.__getstate__()
        arrays = state.pop("arrays")  # are copies already
        made.__setstate__({**copy.deepcopy(state, memo), "arrays": arrays})
        made._store.among = self._store.among
        made._store.is_sharded, made._store.shared = self._store.is_sharded, dict(self._store.shared)
        made._store.guard = None if self._store.guard is None else self._store.guard.again()
        return made

    def __getstate__(self) -> dict[str, Any]:
        with self._store.lock:
            self._store.settle()
            if self._store.executing or self._store.scope is not None:
                cure = "Copy or pickle it before or after the run."
                raise GraphError(report("cannot copy an environment in the middle of a step", at=here(), cure=cure))
            return self._store.alone("it is being copied", self._contents)

    def _contents(self) -> dict[str, Any]:
        others = {name: value for name, value in vars(self).items() if name not in self._own}  # of a subclass
        contents = {
            "backend": self.backend,
            "dtype": str(self.dtype),
            "chosen": self._seed_chosen,
            **self._store.contents(),
            "others": others,
        }
        return stamped(contents)

    def __setstate__(self, state: dict[str, Any]) -> None:
        cure = "Save it to a file there, env.save(path): files are read for good, by lg.VariableEnvironment.load."
        state = checked(state, "an environment", cure)
        self._begin(state["backend"], state["seed"], state["dtype"])
        self._store.fill(state)
        self._seed_chosen = state["chosen"]
        vars(self).update(state["others"])
