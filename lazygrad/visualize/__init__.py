"""Pictures of graphs: text for Graphviz, and files that it draws."""

from lazygrad.names import publish as _publish
from lazygrad.visualize.graphs import assigned_names, render, to_dot

__all__ = ["assigned_names", "render", "to_dot"]

_publish(__name__, "lg.visualize", advised=False)  # what is drawn is drawn by methods
