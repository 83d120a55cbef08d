"""Layers that go through a sequence step by step."""

# The steps are turns of one loop; the inputs of all of them are projected by one product of matrices before it.

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from lazygrad.graph.spec import Mismatch
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.activations import sigmoid, tanh
from lazygrad.nn.checks import whole
from lazygrad.nn.initializers import SignedUniform
from lazygrad.nn.layers.base import Fill, Layer, Owner, making
from lazygrad.ops.comparison import less, where
from lazygrad.ops.loops import scan
from lazygrad.ops.movement import concat, expand_dims, permute_dims, split, stack
from lazygrad.ops.products import matmul
from lazygrad.ops.source import arange, zeros
from lazygrad.store.variables import Transposed, Variable

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]

State = tuple[Tensor, ...]


class Way(NamedTuple):
    """One way through a sequence: one layer in one direction."""

    layer: int
    backward: bool

    @property
    def suffix(self) -> str:
        """What the names of its variables end with, as in PyTorch; nothing for the first."""
        return (f"_l{self.layer}" if self.layer else "") + ("_reverse" if self.backward else "")


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
        layers: int = 1,
        bidirectional: bool = False,
        weight: Fill | None = None,
        recurrent: Fill | None = None,
        bias: Fill | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(env, name)
        with making(self):
            self.n_in, self.hidden, self.layers = (
                whole(what, size) for what, size in (("n_in", n_in), ("hidden", hidden), ("layers", layers))
            )
            self.bidirectional = bool(bidirectional)
            fills = {"weight": weight, "recurrent": recurrent, "bias": bias}
            shared = [what for what, fill in fills.items() if isinstance(fill, (Variable, Transposed))]
            if shared and self._ways > 1:
                raise Mismatch(f"{shared[0]} is shared with one layer in one direction; here are {self._ways}.")
        for way in self._each_way():
            self._make(way, weight, recurrent, bias)

    @property
    def _ways(self) -> int:
        return self.layers * (1 + self.bidirectional)

    def _each_way(self) -> Iterator[Way]:
        return (Way(layer, back) for layer in range(self.layers) for back in (False, True)[: 1 + self.bidirectional])

    def _make(self, way: Way, weight: Fill | None, recurrent: Fill | None, bias: Fill | None) -> None:
        """Register the variables of one way."""
        n_in = self.n_in if way.layer == 0 else self.hidden * (1 + self.bidirectional)
        wide, usual = self.gates * self.hidden, SignedUniform(1 / math.sqrt(self.hidden))
        self._variable("weight" + way.suffix, (n_in, wide), weight or usual, (n_in, self.hidden))
        fans = self.hidden, self.hidden
        self._variable("recurrent" + way.suffix, (self.hidden, wide), recurrent or usual, fans)
        self._variable("bias" + way.suffix, (wide,), bias or usual, (n_in, self.hidden))
        self._more(bias or usual, way)

    def _more(self, bias: Fill, way: Way) -> None:
        """Variables beside these."""

    def _cell(self, projected: Tensor, state: State, way: Way) -> State:
        """The new state, of which the first part is the output, from x @ weight + bias and the old state."""
        raise NotImplementedError

    def __call__(self, x: TensorLike, state: Any = None, lengths: TensorLike | None = None) -> tuple[Tensor, Any]:
        """A sequence.

        Args:
            x: ``(N, T, n_in)``.
            state: to start from, as a call returns it; zeros, if not given.
            lengths: ``(N,)``, how many steps each sequence has; what stands after them is padding, which takes no
                part: the state stays what it is, and the outputs there are zeros. If not given, all have T.

        Returns:
            The outputs ``(N, T, hidden)``, of two directions side by side ``(N, T, 2·hidden)``; and the state after
            the last step, ``(N, hidden)``. Of several layers or directions the states are stacked, ``(layers,
            N, hidden)`` or ``(2·layers, N, hidden)``, of each layer first the one forwards, as in PyTorch.

        Raises:
            SpecError: ``x``, the state or the lengths have another shape, or there are no steps.
        """
        x = self._input(x)
        weight = self._value(x, "weight")
        fits = x.ndim == 3 and x.shape[-1] == self.n_in and x.shape[1] > 0
        cure = f"x has the axes (example, step, feature), one step or more, and {self.n_in} features."
        self._require(fits, cure, x=x, weight=weight)
        states = self._start(x, state)
        real = None if lengths is None else self._real(x, lengths)
        y, last = permute_dims(x, (1, 0, 2)), []
        if real is not None:
            y = where(real, y, 0)  # whatever stands in the padding, NaN too
        ways = list(zip(self._each_way(), states, strict=True))
        for layer in range(self.layers):
            through = [self._through(y, real, begun, way) for way, begun in ways if way.layer == layer]
            y = through[0][0] if len(through) == 1 else concat([outputs for outputs, _ in through], axis=-1)
            last += [ended for _, ended in through]
        return permute_dims(y, (1, 0, 2)), self._ended(last)

    def _through(self, x: Tensor, real: Tensor | None, state: State, way: Way) -> tuple[Tensor, State]:
        """The outputs of one way through the sequence, (T, N, hidden), and its last state."""
        projected = matmul(x, self._value(x, "weight" + way.suffix)) + self._value(x, "bias" + way.suffix)

        def turn(state: State, given: Any) -> tuple[State, Tensor]:
            piece, here = given
            new = self._cell(piece, state, way)
            if here is None:
                return new, new[0]
            frozen = tuple(where(here, a, b) for a, b in zip(new, state, strict=True))
            return frozen, where(here, new[0], 0)

        last, outputs = scan(turn, state, (projected, real), reverse=way.backward)
        return outputs, last

    def step(self, x: TensorLike, state: Any = None) -> tuple[Tensor, Any]:
        """One step of a sequence, for one that is made while it is read.

        Args:
            x: ``(N, n_in)``.
            state: as a call or a step returns it; zeros, if not given.

        Returns:
            The output ``(N, hidden)``, and the new state.

        Raises:
            SpecError: ``x`` or the state has another shape, or the layer goes in both directions.
        """
        x = self._input(x)
        weight = self._value(x, "weight")
        self._require(not self.bidirectional, "What goes backwards has to begin at the end: call it whole.", x=x)
        fits = x.ndim == 2 and x.shape[-1] == self.n_in
        self._require(fits, f"x has the axes (example, feature), and {self.n_in} features.", x=x, weight=weight)
        y, last = x, []
        for way, begun in zip(self._each_way(), self._start(x, state), strict=True):
            projected = matmul(y, self._value(y, "weight" + way.suffix)) + self._value(y, "bias" + way.suffix)
            last.append(self._cell(projected, begun, way))
            y = last[-1][0]
        return y, self._ended(last)

    def _start(self, x: Tensor, state: Any) -> list[State]:
        """The state to start from, of each way."""
        names, single = self.states, (x.shape[0], self.hidden)
        shape = single if self._ways == 1 else (self._ways, *single)
        if state is None:
            return [(zeros(single, self._own["weight"].dtype),) * len(names)] * self._ways
        given = (state,) if len(names) == 1 else state
        if not isinstance(given, (tuple, list)) or len(given) != len(names):
            self._require(False, f"The state is a tuple of {' and '.join(names)}.", x=x)
        parts = tuple(self._input(part) for part in given)
        for name, part in zip(names, parts, strict=True):
            self._require(part.shape == shape, f"The {name} must have the shape {list(shape)}.", x=x, **{name: part})
        return [parts] if self._ways == 1 else [tuple(part[i] for part in parts) for i in range(self._ways)]

    def _ended(self, last: Sequence[State]) -> Any:
        """The states of all ways as they are returned."""
        parts = last[0] if self._ways == 1 else tuple(stack(part) for part in zip(*last, strict=True))
        return parts[0] if len(parts) == 1 else parts

    def _real(self, x: Tensor, lengths: TensorLike) -> Tensor:
        """Which steps are no padding: (T, N, 1)."""
        lengths = self._input(lengths)
        fits = lengths.shape == x.shape[:1] and lengths.dtype.kind in "iu"
        self._require(fits, f"lengths are {x.shape[0]} whole numbers, one a sequence.", x=x, lengths=lengths)
        return less(expand_dims(arange(x.shape[1]), (1, 2)), expand_dims(lengths, 1))

    def _settings(self) -> str:
        more = (f", {self.layers} layers" if self.layers > 1 else "") + (
            ", both directions" if self.bidirectional else ""
        )
        return f"{self.n_in} → {self.hidden}{more}"


class RNN(Recurrent):
    """h' = tanh(x·W + h·U + b) (Elman 1990). The state is h, which is also the output.

    Variables: ``weight (n_in, hidden)``, ``recurrent (hidden, hidden)``, ``bias (hidden,)``, the sum of PyTorch's
    two. Those of further layers and of the direction backwards have names that end as PyTorch's do:
    ``weight_reverse``, ``weight_l1``, ``weight_l1_reverse``.

    Args:
        env, name: see :class:`Layer`.
        n_in, hidden: sizes of the last axis before and after.
        layers: how many, one on the outputs of the other.
        bidirectional: whether each goes through the sequence in both directions; its outputs stand side by side.
        weight, recurrent, bias: initialisers; uniform from −1/√hidden to 1/√hidden, if not given, as in PyTorch.

    Raises:
        SpecError: a size is not a positive whole number, or a variable is shared with several layers or directions.
    """

    gates = 1

    def _cell(self, projected: Tensor, state: State, way: Way) -> State:
        (h,) = state
        return (tanh(projected + matmul(h, self._value(h, "recurrent" + way.suffix))),)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    i, f, g, o = the four parts of x·W + h·U + b; c' = σ(f)·c + σ(i)·tanh(g); h' = σ(o)·tanh(c'): the formulas and
    the order of the gates are those of PyTorch's ``nn.LSTM``. The state is ``(h, c)``, the output h.

    Variables: ``weight (n_in, 4·hidden)``, ``recurrent (hidden, 4·hidden)``, ``bias (4·hidden,)``, the sum of
    PyTorch's two; of further layers and directions as for :class:`RNN`.

    Args:
        env, n_in, hidden, layers, bidirectional, weight, recurrent, bias, name: see :class:`RNN`.
    """

    gates = 4
    states = ("output h", "cell c")

    def _cell(self, projected: Tensor, state: State, way: Way) -> State:
        h, c = state
        i, f, g, o = split(projected + matmul(h, self._value(h, "recurrent" + way.suffix)), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c


class GRU(Recurrent):
    """The gated recurrent unit (Cho et al. 2014), in the form of PyTorch's ``nn.GRU``.

    r, z, n = the three parts of x·W + b; with h·U likewise: r = σ(r + hU_r), z = σ(z + hU_z),
    n = tanh(n + r·(hU_n + a)), h' = (1 − z)·n + z·h. The state is h, which is also the output.

    Variables: ``weight (n_in, 3·hidden)``, ``recurrent (hidden, 3·hidden)``, ``bias (3·hidden,)``, and a, the
    ``candidate_bias (hidden,)``; of further layers and directions as for :class:`RNN`. PyTorch's two biases are added
    in the gates r and z.

    Args:
        env, n_in, hidden, layers, bidirectional, weight, recurrent, bias, name: see :class:`RNN`.
    """

    gates = 3

    def _more(self, bias: Fill, way: Way) -> None:
        self._variable("candidate_bias" + way.suffix, (self.hidden,), bias, (self.hidden, self.hidden))

    def _cell(self, projected: Tensor, state: State, way: Way) -> State:
        (h,) = state
        x_r, x_z, x_n = split(projected, 3, axis=-1)
        h_r, h_z, h_n = split(matmul(h, self._value(h, "recurrent" + way.suffix)), 3, axis=-1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = tanh(x_n + r * (h_n + self._value(h, "candidate_bias" + way.suffix)))
        return (n + z * (h - n),)
