"""Graphs that ``env.run`` remembers, so that the same step is written along the one before, and planned once."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import Any

from lazygrad.backends.base import Backend
from lazygrad.engine.runner import Runner
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import unsigned
from lazygrad.plan import Plan

__all__ = ["Guides", "planned"]

MAX_STEPS = 64  # steps whose graphs are remembered as guides, the least recently run forgotten first
MAX_GUIDES = 4  # graphs remembered a step: training and evaluation, full and ragged batches
MAX_GUIDE_NODES = 50_000
MAX_PLANS = 16  # of one graph, for other roots


class Guides:
    """For every step that has been run lately the graphs that it wrote, the newest first."""

    def __init__(self) -> None:
        self._graphs: OrderedDict[Any, list[Graph]] = OrderedDict()

    def clear(self) -> None:
        """Forget all."""
        self._graphs.clear()

    def of(self, step: Any, precision: str | None) -> list[Graph]:
        """What the step wrote before, with the same precision."""
        return self._graphs.get((_code(step), precision), [])

    def keep(self, step: Any, precision: str | None, graph: Graph | None) -> None:
        """Remember that a step has been run, and what it wrote, unless that followed one of the graphs before."""
        key = (_code(step), precision)
        if graph is not None and 0 < len(graph.nodes) <= MAX_GUIDE_NODES:
            self._graphs[key] = [graph, *self._graphs.get(key, [])][:MAX_GUIDES]
        with contextlib.suppress(KeyError):  # there is none, or a handler of a signal has run many other steps
            self._graphs.move_to_end(key)
            if len(self._graphs) > MAX_STEPS:
                self._graphs.popitem(last=False)


def planned(graph: Graph, roots: tuple[int, ...], backend: Backend, arranged: Any = None) -> Runner:
    """What runs a graph for these roots, made once for all graphs that follow the same guide.

    ``arranged`` is a pass of the plan, which compares as what it does.
    """
    plans: dict[Any, Runner] = graph.plans if graph.guide is None else graph.guide.plans
    key = roots, arranged
    runner = plans.get(key)
    if runner is None:
        if len(plans) >= MAX_PLANS:
            plans.clear()
        runner = plans[key] = Runner(Plan(graph, roots, shared=False, arranged=arranged), backend)
    return runner


def _code(step: Any) -> Any:
    """What stays the same when a step is written anew, as a lambda in a loop is."""
    while hasattr(step, "func"):  # functools.partial
        step = step.func
    step = getattr(step, "__func__", step)
    if not hasattr(step, "__code__"):
        step = getattr(type(step).__call__, "__func__", type(step).__call__)
    step = unsigned(step)
    return getattr(step, "__code__", step)
