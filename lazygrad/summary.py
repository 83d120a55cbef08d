"""A table of layers and variables, as text and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from lazygrad.markup import block, table
from lazygrad.store.variables import Variable

__all__ = ["shown", "summary"]

Row = tuple[str, str, str, str, str, str]
HEAD: Row = ("layer", "kind", "variable", "shape", "trainable", "numbers")
MOST = 50  # rows in a notebook
FEW = 3  # numbers of a variable


def summary(
    variables: Iterable[Variable], layers: Mapping[str, tuple[str, Collection[str]]], optimizers: Collection[str]
) -> str:
    """One line a variable, by layer; then those that no layer made; then what there is in all.

    The state of optimizers is counted apart, and not listed.

    Args:
        variables: all there are.
        layers: by path the kind of a layer, and the paths of its own variables.
        optimizers: the namespaces of their state.
    """
    by_path = {v.path: v for v in variables}
    of_layers = {path for _, own in layers.values() for path in own}
    others = [v for path, v in by_path.items() if path not in of_layers]
    state = [v for v in others if not v.trainable and any(v.path.startswith(f"{name}/") for name in optimizers)]
    loose = [v for v in others if v not in state]
    rows = [HEAD]
    for path, (kind, own) in layers.items():
        if own:
            rows += [_row(by_path[p], path if i == 0 else "", kind if i == 0 else "") for i, p in enumerate(own)]
        else:
            rows.append((path, kind, "", "", "", "–"))
    rows += [_row(v, "", "", v.path) for v in loose]
    counted = [v for v in by_path.values() if v not in state]
    totals = [
        ("trainable:", [v for v in counted if v.trainable]),
        ("not trainable:", [v for v in counted if not v.trainable]),
        ("optimizer state:", state),
    ]
    wide = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = ["  ".join(f"{cell:{'>' if k == 5 else '<'}{wide[k]}}" for k, cell in enumerate(row)) for row in rows]
    rule = "─" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, *(_total(name, found) for name, found in totals)])


def _row(v: Variable, layer: str, kind: str, name: str = "") -> Row:
    shape = f"{v.dtype}{list(v.shape)}"
    return layer, kind, name or v.name, shape, "yes" if v.trainable else "no", f"{v.spec.size:,}"


def _total(name: str, variables: list[Variable]) -> str:
    numbers, count = sum(v.spec.size for v in variables), len(variables)
    bytes_ = sum(v.spec.nbytes for v in variables)
    return f"{name:<16}  {numbers:,} numbers in {count} variable{'' if count == 1 else 's'}, {bytes_:,} bytes"


def shown(
    title: str, variables: Sequence[Variable], optimizers: Collection[str], numbers: Callable[[Variable, int], Any]
) -> str:
    """What a notebook shows of an environment: a row a variable, what belongs to optimizers last; the others counted.

    Args:
        title: what it is of.
        variables: all there are.
        optimizers: the namespaces of their state.
        numbers: gives the first few numbers of a variable.
    """
    state = [v for v in variables if not v.trainable and any(v.path.startswith(f"{name}/") for name in optimizers)]
    own = [v for v in variables if not any(v is one for one in state)]
    listed = [*own, *state][:MOST]
    rows = [
        (
            v.path,
            str(list(v.shape)),
            str(v.dtype),
            "yes" if v.trainable else "no",
            f"{v.spec.nbytes:,}",
            _few(v, numbers),
        )
        for v in listed
    ]
    left = [*own, *state][MOST:]
    bytes_ = sum(v.spec.nbytes for v in left)
    more = f"and {len(left):,} more, {bytes_:,} bytes" if left else ""
    count = f"{len(variables):,} variable{'' if len(variables) == 1 else 's'}"
    note = f"{count}, {sum(v.spec.nbytes for v in variables):,} bytes"
    head = ("variable", "shape", "dtype", "trainable", "bytes", "numbers")
    return block(title, table(head, rows, right=(4,), more=more) if rows else "", note=note)


def _few(v: Variable, numbers: Callable[[Variable, int], Any]) -> str:
    """Its first numbers."""
    found = [f"{x:.4g}" if v.dtype.kind in "fc" else str(x) for x in numbers(v, FEW)]
    return ", ".join(found) + (", …" if v.spec.size > FEW else "")
