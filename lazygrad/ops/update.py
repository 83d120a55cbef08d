"""Update ops: assignments that are made together."""

from __future__ import annotations

from collections.abc import Iterable

from lazygrad.graph.tensor import Tensor

__all__ = ["Update", "group"]


class Update:
    """Assignments to be made together: an update op. Nothing happens until it is pushed and run."""

    def __init__(self, assignments: Iterable[Tensor]) -> None:
        self.assignments = tuple(assignments)

    def __repr__(self) -> str:
        names = ", ".join(t.graph.nodes[t.index].params["name"] for t in self.assignments)
        return f"<Update of {names or 'nothing'}>"


def group(*updates: Update) -> Update:
    """One update op that makes the assignments of several."""
    return Update([t for update in updates for t in update.assignments])
