"""A step as it was traced for one signature: what runs it, where its inputs come from, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.backends.base import Backend
from lazygrad.engine.runner import Runner
from lazygrad.engine.tier import Tier
from lazygrad.step.context import Context
from lazygrad.step.evaluator import as_feed, fed_argument, missing_feed, unknown_feed

__all__ = ["Traced"]


@dataclass
class Traced:
    """What is known of one signature.

    Attributes:
        runner, native: what runs it.
        sources: for each input: ("argument" or "constant", which), or ("feed", name).
        constants: arrays that the step has beside its arguments.
        pack: makes what the step returns of the arrays.
        feeds: names that may be fed.
        arguments: names of array arguments, in order, which may not.
        version: of the store for which it was traced.
    """

    runner: Runner
    native: Tier
    sources: list[tuple[str, Any]]
    constants: Sequence[Any]
    pack: Callable[[Sequence[Any]], Any]
    feeds: set[str]
    arguments: tuple[str, ...]
    version: int

    @classmethod
    def of(cls, context: Context, runner: Runner, native: Tier, pack: Callable[[Sequence[Any]], Any]) -> Traced:
        """What a step that has just been written in ``context`` comes to."""
        store = context.env._store
        arguments = list(context._arguments)
        sources: list[tuple[str, Any]] = []
        for i in runner.input_nodes:
            params = runner.plan.graph.nodes[i].params
            if "number" in params:
                sources.append(("constant", params["number"]))
            elif params["name"] in arguments:
                sources.append(("argument", arguments.index(params["name"])))
            else:
                sources.append(("feed", params["name"]))
        constants = [store.backend.asarray(array) for array in context.graph.constants]
        feeds = context._placeholders.keys() - context._arguments.keys()
        return cls(runner, native, sources, constants, pack, feeds, tuple(arguments), store.version)

    def inputs(self, arrays: Sequence[Any], feeds: dict[str, Any] | None, backend: Backend) -> list[Any]:
        """The arrays for the inputs of the plan, in order.

        Raises:
            FeedError: one is missing, is not known, or does not fit.
        """
        inputs = []
        own = backend.xp.ndarray  # an array of another library is taken over
        for name in feeds or ():
            if name in self.arguments:
                raise fed_argument(name)
            if name not in self.feeds:
                raise unknown_feed(name, self.feeds)
        for (kind, which), spec in zip(self.sources, self.runner.input_specs, strict=True):
            if kind == "argument":
                array = arrays[which]
                if type(array) is not own or not array.flags.c_contiguous or array.dtype != spec.dtype:
                    array = as_feed(f"argument {which}", array, spec, backend)
                inputs.append(array)
            elif kind == "constant":
                inputs.append(self.constants[which])
            elif feeds is not None and which in feeds:
                inputs.append(as_feed(which, feeds[which], spec, backend))
            else:
                raise missing_feed(which, spec)
        return inputs
