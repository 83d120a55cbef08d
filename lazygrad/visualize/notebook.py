"""What notebooks show of graphs and compiled steps: the page in a frame, or the picture."""

from __future__ import annotations

from lazygrad.errors import BackendError
from lazygrad.graph.graph import Graph
from lazygrad.markup import block, framed
from lazygrad.visualize.drawing import drawn
from lazygrad.visualize.files import drawn_by_graphviz
from lazygrad.visualize.page import written
from lazygrad.visualize.picture import Picture
from lazygrad.visualize.reading import pictured

__all__ = ["html_of", "page_in_frame", "svg_of"]

MOST = 5_000  # nodes of a page that is shown without being asked for


def html_of(graph: Graph) -> str | None:
    """The page of a graph in a frame; None of one so large that a notebook would become slow."""
    return page_in_frame(pictured(graph)) if len(graph.nodes) <= MOST else None


def svg_of(graph: Graph) -> str | None:
    """The graph as Graphviz draws it, folded if it is large; None where Graphviz is not installed."""
    return _svg(pictured(graph))


def page_in_frame(picture: Picture) -> str | None:
    """The page of a picture in a frame; without scripts the picture, or its facts."""
    if len(picture.nodes) > MOST:
        return None
    note = ", ".join(picture.facts)
    svg = _svg(picture) or ""
    otherwise = block(picture.title, svg[svg.find("<svg") :] if svg else "", note=note)
    return framed(written(picture), f"{picture.title}: {note}", otherwise)


def _svg(picture: Picture) -> str | None:
    try:
        return drawn_by_graphviz(drawn(picture), "svg", "cannot draw a graph").decode()
    except BackendError:
        return None
