"""Statements: which lines of a program belong together, and what they say in one line.

Python knows the line of every call, and a statement may stand on several: of those one alone seldom says anything.
"""

from __future__ import annotations

import ast
import io
import linecache
import os
import threading
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["LONG", "Statement", "statement_at"]

LONG = 120  # characters of a statement of several lines as one
NAME = 40  # characters of what a statement assigns to
OPENING, FOLLOWING = ("(", "[", "{"), (")", "]", "}", ",", ".", ":")  # beside which there is no space


class Statement(NamedTuple):
    """A statement, or the head of one that has statements in it: of ``for x in xs:`` that line.

    Attributes:
        first, last: its lines.
        name: what it assigns to, as it is written: ``loss``, ``mean, variance``; empty if it assigns nothing.
        pieces: what each of its lines says, without comments.
        several: whether there are more on these lines: ``a = f(x); b = g(x)``, which then have no name.
    """

    first: int
    last: int
    name: str = ""
    pieces: tuple[str, ...] = ()
    several: bool = False

    def text(self, line: int = 0) -> str:
        """All of it in one line; if that is long its beginning, and what stands at and around a line of it."""
        kept = {0, max(0, line - self.first)}
        near = sorted(range(len(self.pieces)), key=lambda k: (abs(k - max(kept)), k))
        for k in near:
            if len(_joined(self.pieces, kept | {k})) > LONG:
                break
            kept.add(k)
        return _joined(self.pieces, kept)


def statement_at(filename: str, line: int, in_lambda: bool = False) -> Statement | None:
    """The statement of a line; None where the source, or what it says, is unknown.

    Args:
        filename: as Python names it; the text comes from ``linecache``, which has cells of notebooks too.
        line: from 1 on.
        in_lambda: whether what is there is in a lambda, which is then taken for the statement.
    """
    lines = linecache.getlines(filename)
    if not 0 < line <= len(lines):
        return None
    with _lock:
        known = _known.get(filename)
        if known is None or (known[0] is not lines and known[0] != lines):
            if len(_known) >= 64:
                _known.clear()
            known = _known[filename] = (lines, *_read("".join(lines)))
    _, statements, lambdas = known
    found = (in_lambda and lambdas.get(line)) or statements.get(line)
    if not found or found.pieces:
        return found or None
    pieces = tuple(_pieces(lines[found.first - 1 : found.last]))
    found = found._replace(pieces=pieces)
    (lambdas if in_lambda and line in lambdas else statements)[line] = found
    return found


_Lines = dict[int, Statement]
_known: dict[str, tuple[list[str], _Lines, _Lines]] = {}
# One thread reads: Python 3.11 and 3.12 count together how deep the programs are that several read.
_lock = threading.RLock()
TRIES = 5  # for others that read a program in that moment


def _unlock() -> None:
    """A process begins with one thread, whatever the others of its parent were doing."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _read(source: str) -> tuple[_Lines, _Lines]:
    """For every line the innermost statement, and the innermost lambda, that it belongs to."""
    statements: _Lines = {}
    lambdas: _Lines = {}
    for node in _parsed(source):
        if isinstance(node, ast.Lambda):
            _mark(lambdas, node.lineno, node.end_lineno)
        elif isinstance(node, ast.stmt):
            inner = getattr(node, "body", None)
            for one in getattr(node, "decorator_list", ()):
                _mark(statements, one.lineno, one.end_lineno)
            if isinstance(node, ast.Match):
                _mark(statements, node.lineno, node.subject.end_lineno)
            elif inner:
                begins = min(one.lineno for one in (inner[0], *getattr(inner[0], "decorator_list", ())))
                _mark(statements, node.lineno, max(node.lineno, begins - 1))
            else:
                _mark(statements, node.lineno, node.end_lineno, _assigned(node))
    return statements, lambdas


def _parsed(source: str) -> Iterator[ast.AST]:
    """All of a program, what is around something before it; nothing, if it is none."""
    for _ in range(TRIES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of letters after a backslash: Python has said it
                return ast.walk(ast.parse(source))
        except SystemError:
            continue
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            break
    return iter(())


def _mark(lines: _Lines, first: int, last: int | None, name: str = "") -> None:
    found = Statement(first, last or first, name)
    for line in range(first, found.last + 1):
        other = lines.get(line)
        both = other is not None and (other.first, other.last) == (first, found.last)
        lines[line] = found._replace(name="", several=True) if both else found


def _assigned(node: ast.stmt) -> str:
    """What a statement assigns to, ``_`` left out; empty if that is long, or nothing."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        target = node.target
    else:
        return ""
    every = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
    names = [ast.unparse(one) for one in every]
    name = ", ".join(one for one in names if one.strip("_"))
    return name if len(name) <= NAME else ""


def _pieces(lines: Sequence[str]) -> Iterator[str]:
    """What each line says, without comments, indentation and what continues it; a long text begins and is not seen."""
    said = [""] * len(lines)
    before = (0, 0)
    try:
        for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline):
            if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
                continue
            (row, column), text = token.start, token.string
            if row > len(said) or token.type == tokenize.ENDMARKER:
                break
            space = " " * (column - before[1]) if before[0] == row and said[row - 1] else ""
            said[row - 1] += space + (f"{text.partition(chr(10))[0].rstrip()}…" if "\n" in text else text)
            before = token.end
    except (tokenize.TokenError, SyntaxError):  # part of a statement may end within brackets
        if not any(said):
            said = [line.strip() for line in lines]
    yield from said


def _joined(pieces: Sequence[str], kept: set[int]) -> str:
    """Some of the pieces in one line, with an ellipsis for those between."""
    found = ""
    last = -1
    for k in sorted(kept):
        is_next = not any(pieces[last + 1 : k])
        if not is_next:
            found += "…" if found.endswith(OPENING) else " …"
        if pieces[k]:
            tight = not found or found.endswith(OPENING) or (is_next and pieces[k].startswith(FOLLOWING))
            found += ("" if tight else " ") + pieces[k]
            last = k
    return found + (" …" if any(pieces[last + 1 :]) else "")
