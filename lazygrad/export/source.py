"""What is exported: the plan of a step, with the arrays that it reads beside its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lazygrad.errors import ExportError, Origin, report
from lazygrad.graph.body import bodies
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.plan import Plan

__all__ = ["Given", "Outline", "Source", "checked", "own_version"]


@dataclass(frozen=True)
class Outline:
    """What a step wrote, before the passes, without its sizes: for each node op, operands, and outlines of bodies."""

    nodes: tuple[Any, ...] = ()
    origins: tuple[Origin, ...] = ()

    @classmethod
    def of(cls, graph: Graph) -> Outline:
        """That of a graph."""
        nodes = [
            (node.op, node.inputs, tuple([cls.of(body.graph).nodes for body in bodies(node)])) for node in graph.nodes
        ]
        return cls(tuple(nodes), tuple(graph.origins))

    def parted(self, other: Outline) -> Origin | None:
        """Where another one goes another way for the first time; None if it does not."""
        if self.nodes == other.nodes:
            return None
        pairs = zip(self.nodes, other.nodes, strict=False)
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(self.nodes), len(other.nodes)))
        return (*self.origins, *other.origins[len(self.origins) :])[first]


@dataclass(frozen=True)
class Given:
    """An argument of a step that is an array.

    Attributes:
        said: its name, as the step calls it.
        node: that stands for it; None if nothing reads it.
    """

    said: str
    spec: Spec
    node: int | None


@dataclass(frozen=True)
class Source:
    """A step as it was traced for some arguments.

    Attributes:
        name: of the step.
        inputs: its arguments that are arrays, then what is fed, in order.
        outputs: names for the values of the plan, in order: where they stand in what the step returns.
        arrays: those of the variables and of the constants that it reads, by node, in NumPy's memory.
        word: what the environment's random numbers are made of.
        outline: what the step wrote, if it was asked for.
    """

    plan: Plan
    name: str
    inputs: tuple[Given, ...]
    outputs: tuple[str, ...]
    arrays: Mapping[int, Any]
    word: int
    outline: Outline = Outline()


def checked(source: Source) -> Source:
    """The same, if it is a function of its arguments.

    Raises:
        ExportError: it changes variables, or returns nothing.
    """
    plan = source.plan
    for name, node in plan.updates.items():
        raise ExportError(
            report(
                f"cannot export {source.name}: it changes variable {name!r}",
                at=plan.origin(node),
                facts=[f"variables that change:  {len(plan.updates)}, the first {plan.graph.describe(node)}"],
                cure="What is exported returns outputs and nothing else: export the step that predicts.",
            )
        )
    if not plan.values:
        cure = "Return the tensors that the exported function is to compute."
        raise ExportError(report(f"cannot export {source.name}: it returns nothing", at=here(), cure=cure))
    return source


def own_version() -> str:
    """The version of lazygrad that exports; empty where it is not installed as a package."""
    from importlib.metadata import PackageNotFoundError, version  # here, as steps import this file

    try:
        return version("lazygrad")
    except PackageNotFoundError:
        return ""
