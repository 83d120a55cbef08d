"""Layers that go through a sequence step by step."""

# The steps are written out in the graph; the inputs of all are projected by one product of matrices before the first.

from __future__ import annotations

import math
from typing import Any, ClassVar

from lazygrad.define import opaque
from lazygrad.graph.spec import Mismatch, Shape
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.nn.activations import sigmoid, tanh
from lazygrad.nn.checks import whole
from lazygrad.nn.initializers import SignedUniform
from lazygrad.nn.layers.base import Fill, Layer, Owner, making
from lazygrad.ops.movement import permute_dims, split, stack
from lazygrad.ops.products import matmul
from lazygrad.ops.source import zeros

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]


def _apart(x: Shape) -> list[Shape]:
    if not x or not x[0]:
        raise Mismatch("There are no steps.")
    return [x[1:]] * x[0]


# As slices, each would have zeros of the size of the whole for its cotangent: the time would grow with the square
# of the number of steps.
@opaque(shape=_apart, vjp=lambda g, y, x: stack(list(g), 0))
def _steps(xp: Any, x: Array) -> Any:
    """The pieces along the first axis, all at once."""
    return tuple(xp.array(piece) for piece in x)


class Recurrent(Layer):
    """What the three share: the variables, and the way through a sequence."""

    gates: ClassVar[int]
    states: ClassVar[tuple[str, ...]] = ("state",)

    def __init__(
        self,
        env: Owner,
        n_in: int,
        hidden: int,
        *,
        weight: Fill | None = None,
        recurrent: Fill | None = None,
        bias: Fill | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(env, name)
        with making(self):
            self.n_in, self.hidden = whole("n_in", n_in), whole("hidden", hidden)
        wide, usual = self.gates * self.hidden, SignedUniform(1 / math.sqrt(self.hidden))
        self._variable("weight", (self.n_in, wide), weight or usual, (self.n_in, self.hidden))
        self._variable("recurrent", (self.hidden, wide), recurrent or usual, (self.hidden, self.hidden))
        self._variable("bias", (wide,), bias or usual, (self.n_in, self.hidden))
        self._more(bias or usual)

    def _more(self, bias: Fill) -> None:
        """Variables beside these."""

    def _cell(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Output and new state, from x @ weight + bias and the old state."""
        raise NotImplementedError

    def __call__(self, x: TensorLike, state: Any = None) -> tuple[Tensor, Any]:
        """A sequence.

        Args:
            x: ``(N, T, n_in)``.
            state: to start from, as a call returns it; zeros, if not given.

        Returns:
            The outputs ``(N, T, hidden)``, and the state after the last step.

        Raises:
            SpecError: ``x`` or the state has another shape, or there are no steps.
        """
        x = self._input(x)
        weight = self._value(x, "weight")
        fits = x.ndim == 3 and x.shape[-1] == self.n_in and x.shape[1] > 0
        cure = f"x has the axes (example, step, feature), one step or more, and {self.n_in} features."
        self._require(fits, cure, x=x, weight=weight)
        state = self._start(x, state)
        projected = matmul(permute_dims(x, (1, 0, 2)), weight) + self._value(x, "bias")
        outputs = []
        for piece in _steps(projected):
            y, state = self._cell(piece, state)
            outputs.append(y)
        return stack(outputs, 1), state

    def step(self, x: TensorLike, state: Any = None) -> tuple[Tensor, Any]:
        """One step of a sequence, for one that is made while it is read.

        Args:
            x: ``(N, n_in)``.
            state: as a call or a step returns it; zeros, if not given.

        Returns:
            The output ``(N, hidden)``, and the new state.

        Raises:
            SpecError: ``x`` or the state has another shape.
        """
        x = self._input(x)
        weight = self._value(x, "weight")
        fits = x.ndim == 2 and x.shape[-1] == self.n_in
        self._require(fits, f"x has the axes (example, feature), and {self.n_in} features.", x=x, weight=weight)
        return self._cell(matmul(x, weight) + self._value(x, "bias"), self._start(x, state))

    def _start(self, x: Tensor, state: Any) -> Any:
        shape, names = (x.shape[0], self.hidden), self.states
        if state is None:
            nothing = zeros(shape, self._own["weight"].dtype)
            return nothing if len(names) == 1 else (nothing,) * len(names)
        given = (state,) if len(names) == 1 else state
        if not isinstance(given, (tuple, list)) or len(given) != len(names):
            self._require(False, f"The state is a tuple of {' and '.join(names)}.", x=x)
        parts = tuple(self._input(part) for part in given)
        for name, part in zip(names, parts, strict=True):
            self._require(part.shape == shape, f"The {name} must have the shape {list(shape)}.", x=x, **{name: part})
        return parts[0] if len(names) == 1 else parts

    def _settings(self) -> str:
        return f"{self.n_in} → {self.hidden}"


class RNN(Recurrent):
    """h' = tanh(x·W + h·U + b) (Elman 1990). The state is h, which is also the output.

    Variables: ``weight (n_in, hidden)``, ``recurrent (hidden, hidden)``, ``bias (hidden,)``, the sum of PyTorch's
    two.

    Args:
        env, name: see :class:`Layer`.
        n_in, hidden: sizes of the last axis before and after.
        weight, recurrent, bias: initialisers; uniform from −1/√hidden to 1/√hidden, if not given, as in PyTorch.

    Raises:
        SpecError: a size is not a positive whole number.
    """

    gates = 1

    def _cell(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        h = tanh(projected + matmul(state, self._value(state, "recurrent")))
        return h, h


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    i, f, g, o = the four parts of x·W + h·U + b; c' = σ(f)·c + σ(i)·tanh(g); h' = σ(o)·tanh(c'): the formulas and
    the order of the gates are those of PyTorch's ``nn.LSTM``. The state is ``(h, c)``, the output h.

    Variables: ``weight (n_in, 4·hidden)``, ``recurrent (hidden, 4·hidden)``, ``bias (4·hidden,)``, the sum of
    PyTorch's two.

    Args:
        env, n_in, hidden, weight, recurrent, bias, name: see :class:`RNN`.
    """

    gates = 4
    states = ("output h", "cell c")

    def _cell(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, c = state
        i, f, g, o = split(projected + matmul(h, self._value(h, "recurrent")), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return h, (h, c)


class GRU(Recurrent):
    """The gated recurrent unit (Cho et al. 2014), in the form of PyTorch's ``nn.GRU``.

    r, z, n = the three parts of x·W + b; with h·U likewise: r = σ(r + hU_r), z = σ(z + hU_z),
    n = tanh(n + r·(hU_n + a)), h' = (1 − z)·n + z·h. The state is h, which is also the output.

    Variables: ``weight (n_in, 3·hidden)``, ``recurrent (hidden, 3·hidden)``, ``bias (3·hidden,)``, and a, the
    ``candidate_bias (hidden,)``. PyTorch's two biases are added in the gates r and z.

    Args:
        env, n_in, hidden, weight, recurrent, bias, name: see :class:`RNN`.
    """

    gates = 3

    def _more(self, bias: Fill) -> None:
        self._variable("candidate_bias", (self.hidden,), bias, (self.hidden, self.hidden))

    def _cell(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        h = state
        x_r, x_z, x_n = split(projected, 3, axis=-1)
        h_r, h_z, h_n = split(matmul(h, self._value(h, "recurrent")), 3, axis=-1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = tanh(x_n + r * (h_n + self._value(h, "candidate_bias")))
        h = n + z * (h - n)
        return h, h
