"""A picture in the DOT language of Graphviz, with boxes that are open or folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lazygrad.visualize.picture import Box, Picture
from lazygrad.visualize.style import LEGEND, PALE, PARTS, WEIGHT, arrow, begun, bold, escaped, label, pale, row
from lazygrad.visualize.words import last

__all__ = ["FEW", "drawn"]

FEW = 40  # nodes that are drawn one by one, unless something else is asked for
SHAPES = {
    "variable": {"shape": "cylinder", "style": "filled"},
    "argument": {"shape": "invhouse", "style": "filled", "margin": "0.02,0.0"},
}
FOLDED = "large name: a folded box"
# Arrows between folded boxes are few: what the user wrote stands in a straight line, and the rest goes around it.
STRAIGHT = {"forward": "60", "gradient": "2", "update": "1"}


def drawn(picture: Picture, depth: int | None = None) -> str:
    """The picture as text.

    Args:
        picture: what is drawn.
        depth: boxes that lie in fewer boxes than this are open, the root among them; 1 folds all that it holds. If not
            given, all are open where there are few nodes, and else those that are open at first in a page.
    """
    seen = sum(not node.hidden for node in picture.nodes)
    if depth is None and seen <= FEW:
        depth = len(picture.boxes)
    drawing = _Drawing(picture, depth)
    drawing.draw()
    return str(drawing.dot.source)


class _Drawing:
    """A picture that is being drawn.

    Attributes:
        shown: for each box the one that is drawn in its place: itself, if it is open or folded in an open one.
    """

    def __init__(self, picture: Picture, depth: int | None) -> None:
        self.picture = picture
        opened = set(picture.opened())
        self.shown, depths = [0], [0]
        self.open = [True]
        for k, box in enumerate(picture.boxes[1:], 1):
            depths.append(depths[box.parent] + 1)
            self.open.append(self.open[box.parent] and (k in opened if depth is None else depths[k] < depth))
            self.shown.append(k if self.open[box.parent] else self.shown[box.parent])
        self.children: dict[int, list[int]] = {}
        for k, box in enumerate(picture.boxes):
            self.children.setdefault(box.parent, []).append(k)
        self.content: dict[int, list[int]] = {}
        for i, node in enumerate(picture.nodes):
            self.content.setdefault(node.box, []).append(i)
        self.counts = self._summed({k: float(len(self._visible(k))) for k in range(len(picture.boxes))})
        self.seconds = self._summed(self._times())
        self.roots = self._summed(Counter(node.box for node in picture.nodes if node.root))
        self.total = sum(kernel.seconds or 0.0 for kernel in picture.kernels)
        self.dot = begun(self._legend())

    def _legend(self) -> list[str]:
        """What is said of what is there."""
        nodes = [node for node in self.picture.nodes if self.open[node.box] and not node.hidden]
        shapes = {node.shape for node in nodes}
        words = [] if all(self.open) else [FOLDED]
        for word in LEGEND:
            kind = word.partition(": ")[2]
            if kind not in ("variable", "placeholder") or {"placeholder": "argument"}.get(kind, kind) in shapes:
                words.append(word)
        return words if nodes else words[:1]

    def draw(self) -> None:
        """Everything."""
        self._inside(0)
        self._arrows()

    def _visible(self, box: int) -> list[int]:
        return [i for i in self.content.get(box, ()) if not self.picture.nodes[i].hidden]

    def _times(self) -> dict[int, float]:
        """The time of each box's own nodes: what a kernel takes is shared among them by their work."""
        found: dict[int, float] = {}
        for kernel in self.picture.kernels:
            for i, share in zip(kernel.nodes, kernel.work, strict=True):
                box = self.picture.nodes[i].box
                found[box] = found.get(box, 0.0) + (kernel.seconds or 0.0) * share
        return found

    def _summed(self, own: Mapping[int, float]) -> list[float]:
        """What boxes have with those within them."""
        sums = [own.get(k, 0.0) for k in range(len(self.picture.boxes))]
        for k in range(len(sums) - 1, 0, -1):  # a box stands behind the one around it
            sums[self.picture.boxes[k].parent] += sums[k]
        return sums

    def _inside(self, number: int) -> None:
        """What lies in an open box."""
        for i in self._visible(number):
            self._node(i)
        for k in self.children.get(number, ()):
            if self.open[k]:
                self._cluster(k)
            else:
                self._box(k)

    def _cluster(self, k: int) -> None:
        box = self.picture.boxes[k]
        line = "#b4bcc6" if box.kind == "loop" else PARTS[box.part][1]
        style = (
            f'labeljust=l style="rounded{",dashed" if box.kind == "loop" else ""}" color="{line}" fontsize=11 margin=8'
        )
        rows = [f"<I>{row(box.name)}</I>", *([pale(box.note)] if box.note else [])]
        told = "".join(f'{row}<BR ALIGN="LEFT"/>' for row in rows)
        self.dot.body.append(f"\tsubgraph cluster_{k} {{\n\t\tlabel=<{told}> {style}\n")
        self._inside(k)
        self.dot.body.append("\t}\n")

    def _box(self, k: int) -> None:
        """A folded box."""
        box = self.picture.boxes[k]
        fill, line = PARTS[box.part]
        rows = [f'<FONT POINT-SIZE="14">{bold(_called(box))}</FONT>', *([pale(box.note)] if box.note else [])]
        rows.append(pale(self._counted(k)))
        looks = {"fillcolor": fill, "color": line, "penwidth": "1.6", "margin": "0.16,0.09"}
        if self.roots[k]:
            looks["peripheries"] = "2"
        self.dot.node(f"b{k}", label=label(rows), tooltip=escaped(self._told(k)), **looks)

    def _counted(self, k: int) -> str:
        """How many nodes, and how much of the time."""
        count = int(self.counts[k])
        words = f"{count} node{'' if count == 1 else 's'}"
        return f"{words}, {100 * self.seconds[k] / self.total:.1f} % of the time" if self.total else words

    def _told(self, k: int) -> str:
        """The name of a box and the ops in it, for a tooltip."""
        inside = {k}
        for number, box in enumerate(self.picture.boxes):
            if box.parent in inside:
                inside.add(number)
        ops = Counter(node.op for node in self.picture.nodes if node.box in inside and not node.hidden)
        told = ", ".join(f"{count} {op}" if count > 1 else op for op, count in ops.most_common(12))
        return f"{self.picture.boxes[k].name}: {told}"

    def _node(self, i: int) -> None:
        node = self.picture.nodes[i]
        part = self.picture.boxes[node.box].part
        fill, line = PARTS[part]
        rows = [row(f"{node.op}({node.text})" if node.text else node.op), pale(node.spec)]
        if node.name:
            rows.insert(0, bold(last(node.name) if node.shape == "variable" else node.name))
        looks = {"fillcolor": fill, "color": line, **SHAPES.get(node.shape, {})}
        if node.root:
            looks |= {"penwidth": "1.6", "peripheries": "2"}
        place = self.picture.places[node.place]
        name, call = f" {node.name}" if node.name else "", f"({node.text})" if node.text else ""
        told = f"%{i} {node.op}{call}{name}, {part}: {place.text}  {place.where}, in {place.inside}"
        self.dot.node(f"n{i}", label=label(rows), tooltip=escaped(told), **looks)

    def _arrows(self) -> None:
        nodes, known = self.picture.nodes, set[tuple[str, str]]()
        for i, node in enumerate(nodes):
            arrows = [j for j in node.inputs if not nodes[j].hidden and not nodes[j].quiet]
            part = self.picture.boxes[node.box].part
            for place, j in enumerate(arrows):
                ends = self._end(j), self._end(i)
                between = ends[0].startswith("n") and ends[1].startswith("n")
                if ends[0] == ends[1] or (not between and ends in known):
                    continue
                known.add(ends)
                heads = arrow(place, len(arrows)) if ends[1].startswith("n") else {}
                weight = (WEIGHT if between else STRAIGHT)[part]
                self.dot.edge(*ends, color=PARTS[part][1], weight=weight, **heads)
        for box in self.picture.boxes:
            for j in box.outputs:
                ends = self._end(j), self._end(box.node)
                if ends[0] != ends[1] and ends not in known and not nodes[j].hidden:
                    known.add(ends)
                    self.dot.edge(*ends, style="dashed", color=PALE)

    def _end(self, i: int) -> str:
        """What an arrow from or to a node touches: it, or the box that it is folded in."""
        box = self.picture.nodes[i].box
        return f"n{i}" if self.open[box] else f"b{self.shown[box]}"


def _called(box: Box) -> str:
    return f"{box.name}, body" if box.kind == "loop" else box.name
