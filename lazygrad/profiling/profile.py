"""Profile: what a step took, as a value that is printed, made a table of, and written as a trace."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazygrad.engine.table.costs import Cost, Portion
from lazygrad.errors import BackendError, SpecError, nearest, report
from lazygrad.files.content import write_content
from lazygrad.graph.registry import here
from lazygrad.markup import Bar, block, escaped_lines, table
from lazygrad.profiling.limits import Limits

__all__ = ["Kernel", "Profile", "Row"]

STEP = "(the step)"  # the layer of what no layer wrote
SHOWN = 20  # rows of a printed table
KINDS = ("kernel", "layer", "line")


@dataclass(frozen=True)
class Kernel:
    """A kernel, a product, a loop, or a call of NumPy, with what it took.

    Attributes:
        number: its place in the step.
        seconds: the median of all runs.
        cost: what it does; ``cost.work`` says whose nodes it computes.
        limit: the seconds that its bytes and operations take on this machine at the least; 0 of a loop with a
            condition, as nobody knows how many turns it will have.
    """

    number: int
    seconds: float
    cost: Cost
    limit: float


@dataclass(frozen=True)
class Row:
    """A row of a table: a kernel, a layer or a line of the user's.

    Attributes:
        name: what it is.
        seconds: what it took; of a layer or a line its share of every kernel, by the work of its nodes.
        share: of the whole.
        nbytes: bytes read and written.
        flops: floating operations.
        limit: the seconds that these take on this machine at the least.
    """

    name: str
    seconds: float
    share: float
    nbytes: float
    flops: float
    limit: float

    @property
    def times_limit(self) -> float:
        """How many times as long as the machine needs it took; NaN where nothing is computed or moved."""
        return self.seconds / self.limit if self.limit else float("nan")


@dataclass(frozen=True)
class Profile:
    """Where the time and the memory of a step go.

    Attributes:
        name: of the step.
        how: what ran it: ``"native"`` or ``"NumPy"``.
        runs: how many there were.
        seconds: the median of the whole step, without clocks within.
        kernels: what it consists of, in the order in which it runs.
        limits: what this machine can do.
        held: bytes of the variables (both arrays of those that change), of what is given, and of what is returned.
        peak: bytes of all that lies beside these where they are most.
        peak_at: the number of the kernel where that is.
        alive: what these bytes are, the largest first.
    """

    name: str
    how: str
    runs: int
    seconds: float
    kernels: tuple[Kernel, ...]
    limits: Limits
    held: int
    peak: int
    peak_at: int
    alive: tuple[tuple[str, int], ...]

    def rows(self, by: str = "kernel") -> list[Row]:
        """The table by ``"kernel"``, in order; or by ``"layer"`` or ``"line"``, the longest first.

        Raises:
            SpecError: ``by`` is something else.
        """
        if by not in KINDS:
            raise SpecError(report(f"cannot make a table by {by!r}", at=here(), cure=nearest(str(by), KINDS)))
        total = sum(kernel.seconds for kernel in self.kernels) or 1.0
        if by == "kernel":
            return [
                Row(
                    f"{k.number:>3} {k.cost.what}", k.seconds, k.seconds / total, k.cost.moved,
                    k.cost.flops, k.limit,
                )
                for k in self.kernels
            ]  # fmt: skip
        return _shared(self.kernels, _layer if by == "layer" else _line, total)

    def to_frame(self, by: str = "kernel") -> Any:
        """The table as a pandas.DataFrame, one row a kernel, layer or line.

        Raises:
            BackendError: pandas is not installed.
            SpecError: ``by`` is none of ``"kernel"``, ``"layer"`` and ``"line"``.
        """
        rows = self.rows(by)
        try:
            import pandas as pd  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            cure = "Install it: pip install pandas. profile.rows() has the same without it."
            raise BackendError(report("cannot make a frame: pandas is not installed", at=here(), cure=cure)) from None
        return pd.DataFrame(
            {
                by: [row.name.strip() for row in rows],
                "microseconds": [1e6 * row.seconds for row in rows],
                "share": [row.share for row in rows],
                "bytes": [row.nbytes for row in rows],
                "flops": [row.flops for row in rows],
                "limit": [1e6 * row.limit for row in rows],
                "times_limit": [row.times_limit for row in rows],
            }
        )

    def chrome_trace(self, path: str | Path) -> Path:
        """Write one run as a trace that chrome://tracing and ui.perfetto.dev show; what was there is replaced whole.

        Raises:
            SaveError: the file cannot be written.
        """
        events: list[dict[str, Any]] = []
        now = 0.0
        for k in self.kernels:
            lines = list(dict.fromkeys(work.origin.place for work in k.cost.work))
            layers = list(dict.fromkeys(_layer(work) for work in k.cost.work))
            events.append(
                {
                    "name": k.cost.what, "cat": ", ".join(layers), "ph": "X", "ts": now, "dur": 1e6 * k.seconds,
                    "pid": 1, "tid": 1,
                    "args": {"lines": lines, "bytes": k.cost.moved, "flops": k.cost.flops,
                             "limit in µs": 1e6 * k.limit},
                }
            )  # fmt: skip
            now += 1e6 * k.seconds
        events.append({"name": "process_name", "ph": "M", "pid": 1, "args": {"name": f"{self.name}, {self.how}"}})
        text = json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}, ensure_ascii=False)
        return write_content(path, text.encode(), "the trace")

    def table(self, by: str = "kernel", most: int = SHOWN) -> str:
        """The table as plain text: the ``most`` longest rows, and in one what is left."""
        rows = self.rows(by)
        kept = sorted(rows, key=lambda row: -row.seconds)[:most]
        shown = [row for row in rows if any(row is one for one in kept)]
        lines = [f"{by:<54} {'µs':>9} {'share':>6} {'bytes':>12} {'flops':>13} {'÷ limit':>8}"]
        for row in shown:
            lines.append(
                f"{row.name:<54.54} {1e6 * row.seconds:>9.2f} {100 * row.share:>5.1f}% {row.nbytes:>12,.0f} "
                f"{row.flops:>13,.0f} {_ratio(row):>8}"
            )
        if len(rows) > len(shown):
            left = sum(row.seconds for row in rows) - sum(row.seconds for row in shown)
            lines.append(f"    {len(rows) - len(shown)} more{'':<44} {1e6 * left:>9.2f}")
        return "\n".join(lines)

    def _head(self) -> str:
        within = sum(kernel.seconds for kernel in self.kernels)
        one, count = self.limits, len(self.kernels)
        many = f"{count} {'kernel' if self.how == 'native' else 'node'}{'' if count == 1 else 's'}"
        runs = "one run" if self.runs == 1 else f"medians of {self.runs} runs"
        return (
            f"{self.name}, {self.how}: {1e6 * self.seconds:,.1f} µs a run; its {many}, timed one by one, "
            f"{1e6 * within:,.1f} µs ({runs})\n"
            f"this machine: {one.memory / 1e9:.1f} GB/s from memory, {one.cache / 1e9:.1f} GB/s from caches, "
            f"{one.flops / 1e9:.0f} Gflop/s in float32, {one.wide / 1e9:.0f} in float64"
        )

    def _tail(self) -> str:
        lines = [
            f"memory: {self.held:,} bytes of variables, arguments and results; {self.peak:,} beside them at the peak"
            + (f", in kernel {self.peak_at}:" if self.alive else "")
        ]
        lines += [f"  {nbytes:>14,}  {what}" for what, nbytes in self.alive[:8]]
        if len(self.alive) > 8:
            rest = sum(nbytes for _, nbytes in self.alive[8:])
            lines.append(f"  {rest:>14,}  in {len(self.alive) - 8} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = []
        for by in KINDS:
            rows = self.rows(by)
            kept = sorted(rows, key=lambda row: -row.seconds)[:SHOWN]
            cells = [
                (
                    row.name.strip(), f"{1e6 * row.seconds:.2f}", Bar(f"{100 * row.share:.1f}%", row.share),
                    f"{row.nbytes:,.0f}", f"{row.flops:,.0f}", _ratio(row),
                )
                for row in rows if any(row is one for one in kept)
            ]  # fmt: skip
            more = f"and {len(rows) - len(kept)} more" if len(rows) > len(kept) else ""
            head = (by, "µs", "share", "bytes", "flops", "÷ limit")
            parts.append(table(head, cells, right=(1, 2, 3, 4, 5), more=more))
        told = f"<pre>{escaped_lines(self._tail())}</pre>"
        return block(self.name, *parts, told, note=self._head().partition(", ")[2].replace("\n", "; "))

    def __str__(self) -> str:
        tables = [self.table(by) for by in KINDS]
        if sys.stdout.isatty():
            drawn = _rich(self)
            tables = drawn if drawn is not None else tables
        return "\n\n".join([self._head(), *tables, self._tail()])


def _ratio(row: Row) -> str:
    return f"{row.times_limit:.1f}" if row.limit else ""


def _layer(work: Portion) -> str:
    part = work.origin.part
    return (work.origin.layer or STEP) + ("" if part == "forward" else f", {part}")


def _line(work: Portion) -> str:
    return f"{work.origin.statement_place}  {work.origin.statement_text}"


def _shared(kernels: Sequence[Kernel], key: Callable[[Portion], str], total: float) -> list[Row]:
    """What kernels took, shared among what their nodes belong to by the nodes' work."""
    sums: dict[str, list[float]] = {}
    for k in kernels:
        whole = sum(work.amount for work in k.cost.work) or 1.0
        for work in k.cost.work:
            part = work.amount / whole if len(k.cost.work) > 1 else 1.0
            row = sums.setdefault(key(work), [0.0, 0.0, 0.0, 0.0])
            for place, amount in enumerate((k.seconds, k.cost.moved, k.cost.flops, k.limit)):
                row[place] += part * amount
    rows = [Row(name, s, s / total, nbytes, flops, limit) for name, (s, nbytes, flops, limit) in sums.items()]
    return sorted(rows, key=lambda row: -row.seconds)


def _rich(profile: Profile) -> list[str] | None:
    """The tables as rich draws them on this terminal; None where it is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return None
    drawn = []
    for by in KINDS:
        rows = sorted(profile.rows(by), key=lambda row: -row.seconds)[:SHOWN]
        table = Table(box=None, header_style="bold")
        table.add_column(by, overflow="ellipsis", no_wrap=True)
        for name in ("µs", "share", "bytes", "flops", "÷ limit"):
            table.add_column(name, justify="right")
        for row in rows:
            style = "bold red" if row.share > 0.2 else "" if row.share > 0.02 else "dim"
            cells = (f"{1e6 * row.seconds:.2f}", f"{100 * row.share:.1f}%", f"{row.nbytes:,.0f}", f"{row.flops:,.0f}")
            table.add_row(row.name.replace("[", "\\["), *cells, _ratio(row), style=style)
        console = Console(file=sys.stdout)
        with console.capture() as captured:
            console.print(table)
        drawn.append(captured.get().rstrip("\n"))
    return drawn
