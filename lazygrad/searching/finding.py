"""Finding: the first node that is not finite though its operands are, with all that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import Origin, report
from lazygrad.graph.spec import Spec

__all__ = ["KINDS", "Finding", "Rows", "bad", "elements", "is_bad", "ranged"]

# What is looked for, by its name: which elements it is.
KINDS: dict[str, Callable[[Any], Any]] = {
    "nan": np.isnan,
    "inf": np.isinf,
    "finite": lambda x: ~np.isfinite(x),
}
WORDS = {"nan": "NaN", "inf": "infinite", "finite": "not finite"}
MOST = 16  # rows that are named


def bad(kind: str, x: Any) -> Any:
    """Which elements of an array are what is looked for; none of what holds no floats. Of several arrays as many."""
    if isinstance(x, tuple):
        return tuple([bad(kind, one) for one in x])
    x = np.asarray(x)
    return KINDS[kind](x) if x.dtype.kind in "fc" else np.zeros(x.shape, bool)


def is_bad(kind: str, x: Any) -> bool:
    """Whether any element of an array, or of several, is what is looked for."""
    return any(is_bad(kind, one) for one in x) if isinstance(x, tuple) else bool(bad(kind, x).any())


def elements(x: Any, mask: Any) -> dict[str, Any]:
    """What a :class:`Finding` says of an array and its bad elements: ``spec``, ``count``, ``size`` and ``first``."""
    first = tuple(map(int, np.argwhere(mask)[0]))
    spec = str(Spec(x.shape, x.dtype))
    return {"spec": spec, "count": int(mask.sum()), "size": x.size, "first": (first, x[first].item())}


class Rows(NamedTuple):
    """Rows of a batch: which, of how many, and along which axis of which arguments they lie."""

    rows: tuple[int, ...]
    size: int
    axes: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.rows[:MOST])) + (", …" if len(self.rows) > MOST else "")
        words = f"every one of the {self.size}" if len(self.rows) == self.size else f"{shown} of {self.size}"
        if not any(axis for _, axis in self.axes):
            return words
        return f"{words}, along {' and '.join(f'axis {axis} of {name!r}' for name, axis in self.axes)}"


@dataclass(frozen=True)
class Finding:
    """Where something that is not finite comes from.

    Attributes:
        kind: what was looked for: ``"nan"``, ``"inf"`` or ``"finite"``.
        op: of the node; ``"argument"``, ``"variable"`` or ``"constant"`` of what is given.
        name: of a variable or an argument.
        origin: the user's line; ``origin.part`` is ``"forward"``, ``"gradient"`` or ``"update"``, ``origin.layer`` the
            path of the layer.
        means: what the op computes, if the user's line does not name it; else empty.
        spec: of the node.
        count, size: how many of its elements are bad, of how many.
        first: the index of the first of these, and its value.
        operands: of every operand what it is and its range, in words.
        parts: the rows of the batch without which it is finite; none if there are no rows, or if none is to blame
            alone. Where it is not known along which axis the batch lies, there are several such.
        turns: those of the loops in which it is, counted from 0, the outermost loop first.
        reaches: what of the step it makes bad.
        variables: which values of the variables it was found with, in words.
    """

    kind: str
    op: str
    name: str
    origin: Origin
    means: str
    spec: str
    count: int
    size: int
    first: tuple[tuple[int, ...], float]
    operands: tuple[str, ...]
    parts: tuple[Rows, ...]
    turns: tuple[int, ...]
    reaches: str
    variables: str = ""

    @property
    def line(self) -> str:
        """``file:line``."""
        return self.origin.place

    @property
    def layer(self) -> str:
        """The path of the layer that wrote the node; empty if none did."""
        return self.origin.layer

    @property
    def part(self) -> str:
        """``"forward"``, ``"gradient"`` or ``"update"``."""
        return self.origin.part

    @property
    def rows(self) -> tuple[int, ...] | None:
        """The rows of the batch without which it is finite; None if there are no rows, or none alone."""
        return self.parts[0].rows if self.parts else None

    @property
    def batch(self) -> int:
        """How many rows the batch has; 0 if there are none, or none is to blame alone."""
        return self.parts[0].size if self.parts else 0

    @property
    def turn(self) -> int | None:
        """The turn of the innermost loop in which it is, counted from 0; None outside of loops."""
        return self.turns[-1] if self.turns else None

    def with_variables(self, said: str) -> Finding:
        """The same, found with these values of the variables."""
        return replace(self, variables=said)

    def facts(self) -> list[str]:
        """What a message says of it beside the line."""
        index, value = self.first
        where = f"[{', '.join(map(str, index))}]" if index else ""
        what = f"{self.op} {self.name!r}" if self.name else self.op
        facts = [f"{what}:  {self.spec}, {self.count} of {self.size} so; the first{where and ' at ' + where}: {value}"]
        facts += [f"which is:  {self.means}"] if self.means else []
        if self.layer or self.part != "forward":
            words = [f"layer {self.layer!r}"] if self.layer else []
            facts.append(f"part:  {', '.join([*words, 'forward' if self.part == 'forward' else 'the ' + self.part])}")
        facts += [f"operand:  {text}" for text in self.operands]
        if self.turns:
            around = "".join(f", in turn {turn} of the loop around it" for turn in reversed(self.turns[:-1]))
            facts.append(f"turn:  {self.turn} of the loop{around}")
        facts += [f"rows:  {part}" for part in self.parts]
        facts.append(f"reaches:  {self.reaches}")
        facts += [f"variables:  {self.variables}"] if self.variables else []
        return facts

    @property
    def cure(self) -> str:
        """What to do about it."""
        if self.op == "argument":
            return "Look at the data: np.isfinite(x).all()."
        if self.op == "variable":
            cure = "It was so before this run. lg.fit(check='finite') and env.run(step, ..., check='finite') stop at"
            return f"{cure} the run that makes it so."
        return "docs/how-to/debug-nan.md has a table of what it usually is."

    def __str__(self) -> str:
        begins = f"{self.op} {self.name!r} is so" if self.name else f"it begins in {self.op}"
        what = f"{self.reaches} is {WORDS[self.kind]}: {begins}"
        return report(what, at=self.origin, facts=self.facts(), cure=self.cure)


def ranged(x: Any) -> str:
    """From which number to which the elements of an array go, and how many of them are not finite."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub" or not x.size:
        return str(x.dtype) if x.size else "empty"
    if x.dtype.kind == "b":
        return f"{int(x.sum())} of {x.size} true"
    found = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    words = f"from {found.min():.6g} to {found.max():.6g}" if found.size else "nothing finite"
    odd = x.size - found.size
    if odd:
        nans = int(np.isnan(x).sum())
        parts = [f"{nans} NaN"] * (nans > 0) + [f"{odd - nans} infinite"] * (odd > nans)
        words += f", {' and '.join(parts)}"
    return words
