"""What graphs and compiled steps are drawn by: text for Graphviz, and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.errors import GraphError, SpecError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import function, here

if TYPE_CHECKING:
    from lazygrad.visualize.picture import Picture

__all__ = ["assigned_names", "checked", "render", "saved", "to_dot"]

# What draws is imported where something is drawn: few programs do, and all import this.


def assigned_names(graph: Graph) -> dict[int, str]:
    """The names that the user's program gives to tensors, by node: ``loss`` for what ``loss = ...`` wrote."""
    from lazygrad.visualize import names

    return names.assigned_names(graph)


@function
def to_dot(graph: Graph, fold: bool | int | None = None) -> str:
    """The graph in the DOT language of Graphviz.

    Layers are boxes, and so are the gradient, the update, and lines of the user's that no layer wrote. Every node shows
    its op, dtype and shape, and its name if it has one: that of the variable or placeholder, or the one that the user's
    program gives it (``loss = ...``). Roots have a double border. The body of a loop is a box too, with a dashed arrow
    from what comes out of it. Where the user wrote a node is its tooltip.

    Args:
        graph: the graph.
        fold: True folds every box; False draws node by node, with namespaces of variables as the only boxes; a number
            says how many boxes deep things are seen, 2 opening those that True folds. If not given, a graph of few
            nodes is drawn node by node in its boxes, and all else as by True.

    Raises:
        GraphError: it is no graph.
        SpecError: ``fold`` is something else.
    """
    from lazygrad.visualize.dot import unfolded
    from lazygrad.visualize.drawing import drawn
    from lazygrad.visualize.reading import pictured

    _check_graph(graph)
    depth = _depth(fold)
    return unfolded(graph) if depth == 0 else drawn(pictured(graph), depth)


@function
def render(graph: Graph, path: str | Path, fold: bool | int | None = None) -> Path:
    """Draw the graph into a file: a page that folds and unfolds, or a picture.

    A picture has its DOT text beside it, under the same name with ``.dot``.

    Args:
        graph: the graph.
        path: the file; its suffix says the form: ``.html``, a page that needs nothing but a browser; ``.svg``, ``.png``
            or ``.pdf``; or ``.dot`` for the text alone.
        fold: as for :func:`to_dot`; in a page it means nothing.

    Returns:
        The path of the file.

    Raises:
        GraphError: it is no graph.
        SaveError: the suffix is another one, or a file cannot be written.
        SpecError: ``fold`` is neither True, False nor a number.
        BackendError: Graphviz is not installed, or fails. The DOT text is written all the same.
    """
    from lazygrad.visualize.files import written
    from lazygrad.visualize.page import written as page_of
    from lazygrad.visualize.reading import pictured

    _check_graph(graph)
    checked(path, fold)
    return written(path, lambda: to_dot(graph, fold), lambda: page_of(pictured(graph)))


@function
def _shown_html(graph: Graph) -> str | None:
    """What a notebook shows of a graph."""
    from lazygrad.visualize.notebook import html_of

    return html_of(graph)


@function
def _shown_svg(graph: Graph) -> str | None:
    """What is shown of a graph where a picture is wanted."""
    from lazygrad.visualize.notebook import svg_of

    return svg_of(graph)


def saved(picture: Picture, graph: Graph, path: Any, fold: bool | int | None) -> Path:
    """The picture of a graph, with all that is known of it, as a file.

    Raises:
        SaveError, SpecError, BackendError: as :func:`render`.
    """
    from lazygrad.visualize.dot import unfolded
    from lazygrad.visualize.drawing import drawn
    from lazygrad.visualize.files import written
    from lazygrad.visualize.page import written as page_of

    depth = _depth(fold)
    return written(path, lambda: unfolded(graph) if depth == 0 else drawn(picture, depth), lambda: page_of(picture))


def checked(path: Any, fold: Any) -> None:
    """Raise what is wrong with how something shall be drawn, before anything is computed for it.

    Raises:
        SaveError: the suffix says no form.
        SpecError: ``fold`` is neither True, False nor a number.
    """
    from lazygrad.visualize.files import checked_form

    checked_form(path)
    _depth(fold)


def _check_graph(graph: Any) -> None:
    """Raise GraphError unless it is a graph."""
    if not isinstance(graph, Graph):
        cure = "Give what env.trace(step, ...) gives. A compiled step draws itself: step.render(path, ...)."
        raise GraphError(report(f"cannot draw a {type(graph).__name__}: it is no graph", at=here(), cure=cure))


def _depth(fold: Any) -> int | None:
    """How many boxes deep things are seen; None if that depends on how many nodes there are.

    Raises:
        SpecError: it is no number, or one below 0.
    """
    if fold is None or (isinstance(fold, (int, np.integer)) and fold >= 0):
        return None if fold is None else int(fold)
    cure = "It is True, False, or how many boxes deep things are seen: 1, 2, …"
    raise SpecError(report(f"cannot fold by {fold!r:.60}", at=here(), cure=cure))
