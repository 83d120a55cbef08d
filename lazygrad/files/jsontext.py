"""JSON read from a file piece by piece, so that a large one is never in memory as a whole.

Time grows linearly with the size of the file, whatever it holds. Everything that is not JSON is a ValueError with a
sentence; beyond RFC 8259, a name stands once in an object, and nesting and the digits of a whole number have limits.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import reprlib
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, NoReturn

__all__ = ["MOST_DIGITS", "MOST_LEVELS", "Reader"]

MOST_LEVELS = 64  # of lists and objects within one another
MOST_DIGITS = 4300  # of a whole number; Python's own limit, whose time to read one grows with the square

_PIECE = 1 << 16  # bytes
_LONGEST_TOKEN = 16  # characters, of all that is not text in quotes, a number, or white space
_SPACE = re.compile(r"[ \t\n\r]*")


class Reader:
    """The members of the object in a file, one after the other.

    For each name that :meth:`members` gives, ask for its :meth:`value`, or all of its :meth:`items`, before the next.

    Raises:
        ValueError: of all methods: what is read is not JSON, or not UTF-8; says what is wrong and where.
        OSError: likewise: the file cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._characters = codecs.getincrementaldecoder("utf-8")()
        self._text = ""  # read, and not yet let go of
        self._at = 0  # how much of it has been understood
        self._bytes = 0  # read in all
        self._before = self._lines = self._column = 0  # characters let go of; lines, and characters in the last of them
        self._sum = hashlib.sha256()
        self._digest = ""
        if self._peek() == "\ufeff":
            self._fail("Unexpected byte order mark", self._at)

    def digest(self) -> str:
        """SHA-256 of all bytes of the file before the name of the member, in hexadecimal."""
        return self._digest

    def is_object(self) -> bool:
        """Whether it is an object that is read next; of a list, :meth:`is_list`."""
        return self._peek() == "{"

    def is_list(self) -> bool:
        """Whether it is a list that is read next."""
        return self._peek() == "["

    def members(self) -> Iterator[str]:
        """The names in the object, which must be all that there is in the file."""
        self._take("{")
        seen: set[str] = set()
        while self._peek() != "}":
            if seen:
                self._take(",")
            if self._peek() != '"':
                self._fail("Expecting property name enclosed in double quotes", self._at)
            self._let_go()
            self._digest = self._sum.hexdigest()
            name = self.value()
            if name in seen:
                raise ValueError(f"{reprlib.repr(name)} stands twice in one object")
            seen.add(name)
            self._take(":")
            yield name
        self._take("}")
        self.end()

    def items(self) -> Iterator[Any]:
        """What stands in a list."""
        self._take("[")
        first = True
        while self._peek() != "]":
            if not first:
                self._take(",")
            first = False
            yield self.value()
        self._take("]")

    def value(self) -> Any:
        """Any JSON, as Python has it."""
        self._peek()
        while True:
            try:
                found, end = _JSON.raw_decode(self._text, self._at)
            except json.JSONDecodeError as reason:
                # Text that is cut off can be told from text that is wrong: it is wrong at its end, or in quotes.
                ended = len(self._text) - reason.pos <= _LONGEST_TOKEN or reason.msg.startswith("Unterminated")
                if not ended or not self._more():
                    self._fail(reason.msg, reason.pos)
            except RecursionError:
                raise ValueError(_TOO_DEEP) from None
            else:
                if end < len(self._text) or not self._more():  # a number may go on
                    self._at = end
                    if end > _PIECE:
                        self._let_go()
                    return _checked(found)

    def end(self) -> None:
        """Check that there is nothing more."""
        if self._peek():
            self._fail("Extra data", self._at)

    def _peek(self) -> str:
        """The next character that is not white space; none at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None
            self._at = space.end()
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _take(self, mark: str) -> None:
        if self._peek() != mark:
            self._fail(f"Expecting {mark!r} delimiter" if mark in ",:" else "Expecting value", self._at)
        self._at += 1

    def _more(self) -> bool:
        """Read on, twice as much as is not yet understood; False at the end of the file."""
        self._let_go()
        piece = self._file.read(max(_PIECE, len(self._text)))
        pending = len(self._characters.getstate()[0])
        try:
            self._text += self._characters.decode(piece, not piece)
        except UnicodeDecodeError as reason:
            place = self._bytes - pending + reason.start
            raise NotTextError(f"It is not text in UTF-8: {reason.reason} at byte {place}") from None
        self._bytes += len(piece)
        return bool(piece)

    def _let_go(self) -> None:
        """Forget the text that has been understood."""
        for start in range(0, self._at, _PIECE):
            self._sum.update(self._text[start : min(start + _PIECE, self._at)].encode())
        lines = self._text.count("\n", 0, self._at)
        self._column = self._at - self._text.rindex("\n", 0, self._at) - 1 if lines else self._column + self._at
        self._lines += lines
        self._before += self._at
        self._text, self._at = self._text[self._at :], 0

    def _fail(self, what: str, place: int) -> NoReturn:
        before = self._text[:place]
        lines = before.count("\n")
        column = place - before.rindex("\n") if lines else self._column + place + 1
        raise NotJSONError(f"{what}: line {self._lines + lines + 1} column {column} (char {self._before + place})")


class NotTextError(ValueError):
    """The bytes are no text."""


class NotJSONError(ValueError):
    """The text is no JSON."""


_TOO_DEEP = f"it is nested too deep, in more than {MOST_LEVELS} levels"


def _checked(value: Any) -> Any:
    """The value, if it is not nested too deep."""
    level = [value] if type(value) in _NESTED else []
    for _ in range(MOST_LEVELS):
        level = [y for x in level for y in _nested(x.values() if type(x) is dict else x)]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


_NESTED = {list, dict}


def _nested(values: Collection[Any]) -> list[Any]:
    """The lists and objects among the values, which in a long list of numbers are looked for only once."""
    return [x for x in values if type(x) in _NESTED] if _NESTED & set(map(type, values)) else []


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a whole number has {len(digits)} digits, more than {MOST_DIGITS}")
    return int(digits)


def _no_constant(text: str) -> NoReturn:
    raise NotJSONError(f"there is no {text} in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice; of two, one would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{reprlib.repr(twice)} stands twice in one object")
    return found


_JSON = json.JSONDecoder(parse_int=_whole, parse_constant=_no_constant, object_pairs_hook=_once)
