"""HTML that notebooks show: tables, trees and pages in a frame, in the colours of the notebook, light or dark.

Whatever users have named is text here, never markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["Bar", "Branch", "Cell", "block", "cut", "escaped", "escaped_lines", "framed", "printable", "table", "tree"]

LINE = "1px solid rgba(128, 128, 128, 0.35)"  # seen on white and on black
FILL = "rgba(59, 117, 175, 0.3)"
LONG = 72  # characters of a cell
SMALL = "font-size: 90%; opacity: 0.75"


class Bar(NamedTuple):
    """A cell whose background is filled to a share of it."""

    text: str
    share: float


Cell: TypeAlias = "str | Bar"
Branch: TypeAlias = "tuple[str, str, Sequence[Branch]]"


def cut(text: str, most: int) -> str:
    """The text, or so much of it that it has ``most`` characters with an ellipsis behind it."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip(' ,')}…"


def printable(text: str) -> str:
    """The text, with what is not printable as Python shows it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def escaped(text: str) -> str:
    """Text as HTML; what is not printable is shown as Python shows it."""
    import html

    return html.escape(printable(text))


def escaped_lines(text: str) -> str:
    """Text of several lines as HTML, for what keeps them."""
    return "\n".join(map(escaped, text.split("\n")))


def block(title: str, *parts: str, note: str = "") -> str:
    """Parts below each other, under a title with a note behind it; the title and the note are text."""
    head = f"<strong>{escaped(title)}</strong>" + (f' <span style="{SMALL}">{escaped(note)}</span>' if note else "")
    return f'<div style="color: inherit; overflow-x: auto">{head}{"".join(parts)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], right: Sequence[int] = (), more: str = "") -> str:
    """A table of text.

    Args:
        head: the names of its columns.
        rows: its cells.
        right: the columns of numbers, which end below each other.
        more: what is said below it, such as how many rows are left out.
    """
    body = "".join(f"<tr>{''.join(_cell('td', x, k in right) for k, x in enumerate(row))}</tr>" for row in rows)
    names = "".join(_cell("th", x, k in right) for k, x in enumerate(head))
    below = f'<div style="{SMALL}">{escaped(more)}</div>' if more else ""
    style = "border-collapse: collapse; color: inherit; background: none; margin: 0.4em 0"
    return f'<table style="{style}"><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>{below}'


def tree(branches: Sequence[Branch]) -> str:
    """Branches, each a name, a note and the branches within it."""
    items = "".join(
        f'<li><strong>{escaped(name)}</strong> <span style="{SMALL}">{escaped(note)}</span>{tree(inner)}</li>'
        for name, note, inner in branches
    )
    return f'<ul style="margin: 0.2em 0; padding-left: 1.4em">{items}</ul>' if branches else ""


def framed(page: str, title: str, otherwise: str, height: int = 560) -> str:
    """A page of its own in a frame, and what is seen where scripts do not run.

    Args:
        page: a whole page.
        title: what it is of.
        otherwise: HTML.
        height: of the frame, in pixels.
    """
    import html

    style = (
        f"width: 100%; height: {height}px; border: {LINE}; border-radius: 6px; background: none; box-sizing: border-box"
    )
    frame = f'<iframe title="{escaped(title)}" sandbox="allow-scripts" style="{style}" srcdoc="{html.escape(page)}">'
    return f"{frame}</iframe><noscript>{otherwise}</noscript>"


def _cell(kind: str, content: Cell, is_number: bool) -> str:
    text, look = content if isinstance(content, str) else content.text, ""
    text = cut(text, LONG)
    if isinstance(content, Bar):
        end = f"{100 * min(max(content.share, 0.0), 1.0):.1f}%"
        look = f"; min-width: 7em; background: linear-gradient(90deg, {FILL} {end}, transparent {end})"
    align = "right" if is_number else "left"
    style = f"text-align: {align}; padding: 0.15em 0.7em; border: none; border-bottom: {LINE}; white-space: pre{look}"
    return f'<{kind} style="{style}">{escaped(text)}</{kind}>'
