"""Origin: where the user wrote a node, with the line of the program, and the name that it gives."""

from __future__ import annotations

import contextlib
import dis
import functools
import linecache
import os
from types import CodeType
from typing import Any, NamedTuple

from lazygrad.statements import Statement, statement_at

__all__ = ["Origin"]

LAMBDA = "<lambda>"
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<locals>")


class Place(NamedTuple):
    """What an origin keeps of a code object where that cannot follow it: in a pickle. The names are those of Python."""

    co_filename: str
    co_name: str
    co_firstlineno: int
    co_qualname: str
    text: str
    assigned: str
    statement: Statement

    def co_lines(self) -> tuple[tuple[int, int, int], ...]:
        """Nothing: there is but one line, the first."""
        return ()


class Origin(NamedTuple):
    """Where the user wrote a node, which part of the step it belongs to, and the path of the layer that wrote it.

    A gradient's nodes have the layer of what is differentiated, an update's the namespace of the variable.

    The line is found from the code object only when a message or a picture needs it: recording an origin must cost
    nothing next to recording the node.
    """

    code: CodeType | Place | None
    lasti: int
    part: str = "forward"
    layer: str = ""

    @property
    def line(self) -> int:
        """The line number in the user's file, 0 where it is unknown."""
        if self.code is None:
            return 0
        for start, end, line in self.code.co_lines():
            if start <= self.lasti < end and line is not None:
                return line
        return self.code.co_firstlineno

    @property
    def place(self) -> str:
        """``file:line``, the file relative to the working folder where it lies below it."""
        if self.code is None:
            return "<unknown>"
        return f"{_short(self.code.co_filename)}:{self.line}"

    @property
    def text(self) -> str:
        """The user's own line of source, without its indentation; empty where it is unknown.

        Of a statement on several lines it is all of it, or, where that is long, its beginning and what is around the
        line.
        """
        if self.code is None or isinstance(self.code, Place):
            return "" if self.code is None else self.code.text
        found = self.statement
        if found.first < found.last:
            return found.text(self.line)
        return linecache.getline(self.code.co_filename, self.line).strip()

    @property
    def statement(self) -> Statement:
        """The lines that the user's own one is part of; that alone where they are unknown."""
        if isinstance(self.code, Place):
            return self.code.statement
        line = self.line
        if self.code is None:
            return Statement(line, line)
        return statement_at(self.code.co_filename, line, self.code.co_name == LAMBDA) or Statement(line, line)

    @property
    def statement_place(self) -> str:
        """As ``place``, with all lines of the statement: ``file:12-15``."""
        if self.code is None:
            return self.place
        first, last, *_ = self.statement
        return f"{_short(self.code.co_filename)}:{first}{f'-{last}' if first < last else ''}"

    @property
    def statement_text(self) -> str:
        """As ``text``, the same for all lines of the statement."""
        found = self.statement
        return found.text() if found.first < found.last and found.pieces else self.text

    @property
    def function(self) -> str:
        """The name of the function, which what stands in ``[… for x in xs]`` belongs to as well."""
        names = [] if self.code is None else self.code.co_qualname.split(".")
        kept = [name for name in names if name not in COMPREHENSIONS]
        return kept[-1] if kept else ""

    @property
    def assigned(self) -> str:
        """The name into which the program stores what it called here; empty where it does something else with it."""
        if self.code is None or isinstance(self.code, Place):
            return "" if self.code is None else self.code.assigned
        return _stores(self.code).get(self.lasti, "")

    def __str__(self) -> str:
        if self.code is None:
            return self.place
        place = f"{self.place}, in {self.code.co_name}"
        return f"{self.text:<46}  {place}" if self.text else place

    def __reduce__(self) -> Any:
        place = _place(self.code.co_filename, self.code, self.lasti) if isinstance(self.code, CodeType) else self.code
        return Origin, (place, self.lasti, self.part, self.layer)

    def __copy__(self) -> Origin:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Origin:
        return self


@functools.lru_cache(maxsize=4096)  # so that a pickle has each line once
def _place(filename: str, code: CodeType, lasti: int) -> Place:
    """What a pickle has of a line; equal code of two files is told apart by ``filename``."""
    origin = Origin(code, lasti)
    if not filename.startswith("<"):
        with contextlib.suppress(OSError):  # a current folder that has been removed
            filename = os.path.abspath(filename)
    told = origin.text, origin.assigned, origin.statement
    return Place(filename, code.co_name, origin.line, code.co_qualname, *told)


def _short(filename: str) -> str:
    """The path as the user would type it from here."""
    if filename.startswith("<"):
        return filename
    try:
        relative = os.path.relpath(filename)
    except (ValueError, OSError):  # another drive on Windows; a current folder that has been removed
        return filename
    return filename if relative.startswith("..") else relative


@functools.lru_cache(maxsize=256)
def _stores(code: CodeType) -> dict[int, str]:
    """For each place in the code that a store into a name follows, the name."""
    stores: dict[int, str] = {}
    before = 0
    for instruction in dis.get_instructions(code):
        if instruction.opname == "EXTENDED_ARG":
            continue
        if instruction.opname.startswith(("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")):
            stored = instruction.argval
            name = stored if isinstance(stored, str) else stored[0]  # from Python 3.13 on two stores may be one
            # While a call is under way, Python points at it or, for some, at the end of its inline cache.
            stores.update(dict.fromkeys(range(before, instruction.offset), name))
        before = instruction.offset
    return stores
