"""Picture: what a page, an SVG and a notebook are made of, as one immutable value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lazygrad.visualize.runs import MOST

__all__ = ["Box", "Kernel", "Picture", "Place", "Seen"]

LEAST = 5  # things that are seen at first


@dataclass(frozen=True)
class Box:
    """A part of a step that folds and unfolds.

    Attributes:
        name: of the layer, the line or the part.
        parent: the number of the box around it; -1 of the first, which holds all.
        part: forward, gradient or update.
        kind: root, layer, part, line, variable, loop, or run: several of these in a row.
        note: a few more words, such as what goes in and what comes out.
        node: of the body of a loop, the number of the node that runs it; else -1.
        outputs: of the body of a loop, the numbers of the nodes that are its results.
    """

    name: str
    parent: int
    part: str
    kind: str
    note: str = ""
    node: int = -1
    outputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A node, as it is seen.

    Attributes:
        op, spec: what it computes.
        inputs: the numbers of its operands, in order.
        box: the number of the box that it lies in.
        place: the number of the place where the user wrote it.
        name: of the variable or argument, or the one that the user's program gives it.
        shape: op, variable, argument, constant or assign.
        text: operands, if some of them are numbers, and settings.
        settings: these alone.
        hidden: whether it is a number that stands in the text of what uses it, and is not drawn.
        quiet: whether it is drawn, and stands in the text of what uses it in place of an arrow.
        root: whether it is returned or assigned.
        kernel: the number of the kernel that computes it, or -1.
        statistics: of its values, if they were computed.
    """

    op: str
    spec: str
    inputs: tuple[int, ...]
    box: int
    place: int
    name: str = ""
    shape: str = "op"
    text: str = ""
    settings: str = ""
    hidden: bool = False
    quiet: bool = False
    root: bool = False
    kernel: int = -1
    statistics: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Place:
    """A line of the user's: ``where`` it is, ``inside`` which function, and its ``text``."""

    where: str
    inside: str
    text: str


@dataclass(frozen=True)
class Kernel:
    """What computes several nodes at once.

    Attributes:
        what, over: it in words, and what it goes over.
        seconds: that it took, if it was measured.
        bytes, flops: that it moves and computes.
        limit: the seconds that these take on this machine at the least, if that is known.
        nodes: the numbers of those that it computes.
        work: the share that each of these has of it; together 1.
    """

    what: str
    over: str
    seconds: float | None
    bytes: int
    flops: int
    limit: float | None
    nodes: tuple[int, ...]
    work: tuple[float, ...]


@dataclass(frozen=True)
class Picture:
    """A graph in boxes, with all that is known of it.

    Attributes:
        title: the name of the step.
        facts: short texts for the head.
        boxes: a tree, in which a box stands behind the one around it; the first holds all.
        nodes: those of the graph by their numbers, then those of the bodies of loops.
        places: lines of the user's.
        kernels: what computes the nodes, in the order in which they run.
        laws: what passes have changed, a sentence each.
    """

    title: str
    facts: tuple[str, ...]
    boxes: tuple[Box, ...]
    nodes: tuple[Seen, ...]
    places: tuple[Place, ...]
    kernels: tuple[Kernel, ...] = ()
    laws: tuple[str, ...] = ()

    def children(self, box: int) -> list[int]:
        """The numbers of the boxes in a box."""
        return [i for i, one in enumerate(self.boxes) if one.parent == box]

    def content(self, box: int) -> list[int]:
        """The numbers of the nodes that lie in a box, and not in one within it."""
        return [i for i, node in enumerate(self.nodes) if node.box == box]

    def opened(self) -> list[int]:
        """The boxes that are open at first, so that there are five things to be seen, if that can be had.

        The first, and where that holds less, the largest boxes of the forward part that hold few.
        """
        inner: dict[int, list[int]] = {}
        for k, box in enumerate(self.boxes):
            inner.setdefault(box.parent, []).append(k)
        counts = Counter(node.box for node in self.nodes if not node.hidden)
        whole = counts.copy()
        for k in range(len(self.boxes) - 1, 0, -1):  # a box stands behind the one around it
            whole[self.boxes[k].parent] += whole[k]
        found = [0]
        closed = set(inner.get(0, ()))
        seen = counts[0] + len(closed)
        while seen < LEAST:
            sizes = {k: counts[k] + len(inner.get(k, ())) for k in sorted(closed) if self.boxes[k].part == "forward"}
            few = [k for k, size in sizes.items() if size + seen <= MOST]
            if not few:
                break
            one = max(few, key=lambda k: whole[k])
            found.append(one)
            closed = closed - {one} | set(inner.get(one, ()))
            seen += sizes[one]
        return found

    def to_dict(self) -> dict[str, Any]:
        """The same as what JSON has: dicts, lists, texts and numbers."""
        found = asdict(self)
        for place in found["places"]:
            place["in"] = place.pop("inside")
        found["opened"] = self.opened()
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
