"""Variables of which each worker has its part: the state of optimizers, where it is shared out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lazygrad.graph.spec import Shape, Spec
from lazygrad.store.variables import Variable

if TYPE_CHECKING:
    from lazygrad.workers.among import Among

__all__ = ["Shares"]


class Shares:
    """What a store knows of them."""

    among: Among
    shared: dict[str, Shape]
    variables: dict[str, Variable]
    state: Any
    version: int

    def share_out(self, variable: Variable, shape: Shape) -> None:
        """Note that each worker has its part of a variable of this shape; of one from a file all but that is let go."""
        if variable.shape == shape:
            own = self.among.own_part(variable.live(self.state.parity).reshape(-1))
            variable._arrays = [own, own.copy()]
            variable.spec = Spec(tuple(own.shape), own.dtype)
            self.version += 1
        self.shared[variable.path] = shape

    def whole_shape(self, variable: Variable) -> Shape | None:
        """The shape of the whole, if this worker has its part of a variable. That of a part is never the same."""
        shape = self.shared.get(variable.path)
        return None if shape == variable.shape else shape

    def specs(self) -> dict[str, Spec]:
        """What files have, by path: the specs of the whole variables."""
        return {v.path: Spec(self.whole_shape(v) or v.shape, v.dtype) for v in list(self.variables.values())}

    def whole_array(self, variable: Variable, parity: int) -> Any:
        """The array of a variable as a file has it; all workers ask for one that is shared out."""
        array, shape = variable.live(parity), self.whole_shape(variable)
        if shape is None:
            return array
        return self.among.whole_of(array, math.prod(shape)).reshape(shape)

    def own_array(self, variable: Variable, array: Any) -> Any:
        """What this worker has of an array from a file."""
        return array if self.whole_shape(variable) is None else self.among.own_part(array.reshape(-1))
