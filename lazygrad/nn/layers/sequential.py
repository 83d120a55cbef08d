"""Layers one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lazygrad.define.kinds import tensor
from lazygrad.errors import DefinitionError, SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.checks import takes_train
from lazygrad.nn.layers.base import Layer
from lazygrad.store.variables import Variable

__all__ = ["Sequential"]


class Sequential:
    """The layers applied one after another. It has no variables but theirs, and needs no environment.

    Args:
        layers: layers, functions of a tensor such as ``lg.nn.relu``, other models. Those that take an argument
            ``train`` are given it. What gives more than a tensor, as an :class:`LSTM` does, does not fit in: put it
            into a function that gives the output alone.

    Raises:
        DefinitionError: one of them cannot be called, or is a class.
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        for number, layer in enumerate(layers):
            if not callable(layer) or isinstance(layer, type):
                cure = "Give layers and functions, such as Sequential(Linear(env, 4, 8), lg.nn.relu)."
                what = f"cannot put {layer!r:.60} into Sequential, at place {number}"
                raise DefinitionError(report(what, at=here(), cure=cure))
        self.layers = layers
        self._trains = tuple(takes_train(layer) for layer in layers)

    @property
    def variables(self) -> list[Variable]:
        """Those of its layers, each once."""
        found = [v for layer in self.layers for v in getattr(layer, "variables", ())]
        return list(dict.fromkeys(found))

    @property
    def trainable(self) -> bool:
        """Whether optimizers change what its layers learn; settable, which freezes all of them."""
        return any(layer.trainable for layer in self._learning())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._learning():
            layer.trainable = value

    def _learning(self) -> list[Any]:
        return [layer for layer in self.layers if isinstance(layer, (Layer, Sequential))]

    def __getitem__(self, place: Any) -> Any:
        """The layer at a place; of a slice a ``Sequential`` of these layers."""
        return Sequential(*self.layers[place]) if isinstance(place, slice) else self.layers[place]

    def __len__(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter(self.layers)

    def __bool__(self) -> bool:
        return True

    def __call__(self, x: TensorLike, train: bool = False) -> Tensor:
        """What the last layer makes of ``x``; with no layers ``x`` itself.

        Args:
            x: what the first layer takes.
            train: given to every layer that takes it.

        Raises:
            SpecError: a layer gave something else than a tensor, or was given a shape that it does not take.
        """
        y = tensor(x)
        for layer, trains in zip(self.layers, self._trains, strict=True):
            given = layer(y, train=train) if trains else layer(y)
            if not isinstance(given, Tensor):
                cure = "Put a function into Sequential that gives the tensor alone, such as lambda x: lstm(x)[0]."
                what = f"cannot go on after {layer!r:.60}: it gave a {type(given).__name__}"
                raise SpecError(report(what, at=here(), cure=cure))
            y = given
        return y

    def __repr__(self) -> str:
        names = [getattr(f, "__name__", None) or repr(f) for f in self.layers]
        return f"<Sequential of {', '.join(names) or 'nothing'}>"

    def _repr_html_(self) -> str:
        from lazygrad.nn.layers.shown import shown  # notebooks alone show it

        return shown(self)
