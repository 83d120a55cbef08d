"""The workers that the nodes of a graph exchange with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.workers.alone import Alone

__all__ = ["ALONE", "Among"]


ALIGNED = 64  # bytes: kernels read whole lines


class Among:
    """The workers that a node exchanges with: a setting that is equal only to itself, and prints as their number.

    Attributes:
        communicator: what carries the numbers.
        rank, size: which worker this is, and of how many.
    """

    def __init__(self, communicator: Any) -> None:
        self.communicator = communicator
        self.rank: int = communicator.rank
        self.size: int = communicator.size
        self.under_way: dict[int, tuple[Any, Any]] = {}  # by number the sums that have begun: array and request
        self._packed: dict[Any, Any] = {}  # memory for them, by number and size: there is one at a time of each

    def total(self, x: Any) -> Any:
        """The sum of an array over all workers, in a new array; waits for them."""
        found = x.copy()
        if self.size > 1:
            self.communicator.sum(found)
        return found

    def memory(self, number: int, length: int, dtype: Any) -> Any:
        """The array that holds the sum with this number, in every run."""
        key = number, length, dtype
        found = self._packed.get(key)
        if found is None:
            room = np.empty(length * dtype.itemsize + ALIGNED, np.uint8)
            start = -room.ctypes.data % ALIGNED
            found = self._packed[key] = room[start : start + length * dtype.itemsize].view(dtype)
        return found

    def begin(self, number: int, parts: Sequence[Any], xp: Any = np) -> None:
        """Begin the sum of several arrays of one dtype, as one; ``xp`` is the namespace of arrays on a device."""
        if number in self.under_way:  # of a step that has failed
            self.end(number)
        for _, request in self.under_way.values():
            request.test()  # MPI carries nothing while it is not called
        flat = [part.reshape(-1) for part in parts]
        if isinstance(flat[0], np.ndarray):
            found = self.memory(number, sum(part.size for part in flat), flat[0].dtype)
            np.concatenate(flat, out=found)
        else:
            found = xp.concatenate(flat)
        self.under_way[number] = found, self.communicator.begin(found)

    def end(self, number: int) -> Any:
        """The sum with this number, when it is there: one array with one axis."""
        found, request = self.under_way.pop(number)
        request.wait()
        return found

    def own_part(self, x: Any) -> Any:
        """This worker's part of a vector: as many elements for each, with zeros behind the last ones."""
        length = -(-x.shape[0] // self.size)
        found = x[:1].repeat(length)  # of the kind of array that it is
        found[...] = 0
        mine = x[self.rank * length : (self.rank + 1) * length]
        found[: mine.shape[0]] = mine
        return found

    def whole_of(self, x: Any, length: int) -> Any:
        """The vector of so many elements of which each worker has such a part."""
        found = x.repeat(self.size)
        self.communicator.gather_into(x, found)
        return found[:length].copy()

    def __repr__(self) -> str:
        return f"{self.size}"

    def __copy__(self) -> Among:
        return self

    def __deepcopy__(self, memo: Any) -> Among:
        return self  # the workers are not copied with a graph, or an environment, that names them

    def __reduce__(self) -> Any:
        return Among, (Alone(),)  # nor are they there where it is unpickled


ALONE = Among(Alone())
