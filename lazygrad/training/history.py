"""History: what was measured in every epoch of a training."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lazygrad.errors import BackendError, DataError, SaveError, nearest, report
from lazygrad.files.content import checked_path, write_content
from lazygrad.graph.registry import here
from lazygrad.markup import block, table

__all__ = ["History"]

PREFIX = "validation_"
RATE = "rate"
LAST = 8  # epochs that a notebook shows


class History(Mapping[str, list[float]]):
    """A mapping of the names of metrics to their means in every epoch, from the first epoch on.

    What was measured on the validation set has a name that begins with ``validation_``.

    Attributes:
        seconds: the duration of every epoch, those before an interruption included.
        rates: the learning rate after every epoch by the name of the optimizer, of those that have one.
        stopped: why training ended before its last epoch, or ``""``.
    """

    def __init__(self, columns: Mapping[str, Sequence[float]] | None = None, seconds: Sequence[float] = ()) -> None:
        self._columns = {name: list(values) for name, values in (columns or {}).items()}
        self.seconds = list(seconds)
        self.rates: dict[str, list[float]] = {}
        self.stopped = ""

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._columns:
            raise KeyError(f"there is no metric {name!r}. {nearest(str(name), self._columns)}")
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def epochs(self) -> int:
        """How many epochs there were."""
        return len(self.seconds)

    def add(self, metrics: Mapping[str, float], seconds: float, rates: Mapping[str, float] | None = None) -> None:
        """Record an epoch. What is not known of an earlier one, as it was measured later on only, is NaN there."""
        for columns, values in ((self.rates, rates or {}), (self._columns, metrics)):
            for name, value in values.items():
                known = columns.setdefault(name, [])
                known += [float("nan")] * (self.epochs - len(known)) + [float(value)]
        self.seconds.append(float(seconds))

    def best(self, metric: str, mode: str = "min") -> tuple[int, float]:
        """The epoch, counted from 1, in which a metric was best, and its value then.

        Raises:
            KeyError: there is no such metric.
            DataError: ``mode`` is neither ``"min"`` nor ``"max"``, or there was no epoch.
        """
        values = self[metric]
        place = min(range(len(values)), key=lambda i: worse(values[i], mode))
        return place + 1, values[place]

    def plot(self, path: str | Path | None = None, metrics: Sequence[str] | str | None = None) -> Any:
        """A matplotlib figure with one panel a metric: the training and the validation curve over the epochs.

        A last panel has the learning rate, of every optimizer that has one.

        Args:
            path: a picture to write, its format by its ending; none, if not given.
            metrics: names without ``validation_``, and ``"rate"``, or one of these; all of them, if not given.

        Raises:
            BackendError: matplotlib is not installed.
            DataError: nothing was measured.
            KeyError: there is no such metric.
            SaveError: it is no path, its ending says no format, or the file cannot be written.
        """
        path = None if path is None else checked_path(path, "plot to")
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError:
            cure = "Install it: pip install matplotlib."
            raise BackendError(report("cannot plot: matplotlib is not installed", at=here(), cure=cure)) from None
        names = [metrics] if isinstance(metrics, str) else list(metrics or ())
        names = names or list(dict.fromkeys(name.removeprefix(PREFIX) for name in self))
        if self.rates and not metrics:
            names.append(RATE)
        if not names:
            cure = "lg.fit returns a history that has epochs, also where it was interrupted."
            raise DataError(report("cannot plot: nothing was measured", at=here(), cure=cure))
        figure = Figure(figsize=(5 * len(names), 3.5), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for key, values in self._curves(name).items():
                style = "--" if key.startswith(PREFIX) else "-"
                (line,) = axes.plot(range(1, len(values) + 1), values, style, label=key.replace("_", " "))
                line.set(marker="o", markersize=4, markevery=_alone(values))
            axes.set(xlabel="epoch", ylabel=name)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        if path is not None:
            _write_picture(figure, path)
        return figure

    def _repr_html_(self) -> str:
        from lazygrad.training.curves import curves  # notebooks alone show it

        names = list(dict.fromkeys(name.removeprefix(PREFIX) for name in self)) + ([RATE] if self.rates else [])
        head = ("epoch", *self, "seconds")
        first = max(0, self.epochs - LAST)
        rows = [
            (f"{k + 1}", *(f"{x[k]:.5g}" if k < len(x) else "" for x in self.values()), f"{self.seconds[k]:.3g}")
            for k in range(first, self.epochs)
        ]
        more = f"the last {LAST} of {self.epochs} epochs" if first else ""
        shown = table(head, rows, right=range(len(head)), more=more) if rows else ""
        note = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}" + (f", {self.stopped}" if self.stopped else "")
        panels = {name: {key.replace("_", " "): x for key, x in self._curves(name).items()} for name in names}
        return block("History", f"<div>{curves(panels)}</div>" if rows else "", shown, note=note)

    def _curves(self, name: str) -> dict[str, list[float]]:
        """What a panel shows, by label."""
        if name == RATE and RATE not in self and self.rates:
            return self.rates if len(self.rates) > 1 else {"learning rate": next(iter(self.rates.values()))}
        return {key: self[key] for key in [key for key in (name, PREFIX + name) if key in self] or [name]}

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self._columns.items() if values)
        return f"<History of {self.epochs} epochs: {last or 'nothing measured'}>"


def _alone(values: Sequence[float]) -> list[int]:
    """The places of the numbers that no line leads to, as none beside them is finite: a point is drawn there."""
    fine = [False, *map(math.isfinite, values), False]
    return [k for k in range(len(values)) if fine[k + 1] and not (fine[k] or fine[k + 2])]


def _write_picture(figure: Any, path: Path) -> None:
    """Write a picture, its format by its ending; what was there is replaced whole."""
    formats = figure.canvas.get_supported_filetypes()
    form = path.suffix.lower().removeprefix(".")
    if form not in formats:
        cure = f"Let it end in .png, .svg, .pdf, or another one of: {', '.join(sorted(formats))}."
        raise SaveError(report(f"cannot plot to {str(path)!r:.200}: its ending says no format", at=here(), cure=cure))
    written = io.BytesIO()
    figure.savefig(written, format=form, dpi=150)
    write_content(path, written.getvalue(), "the plot")


def worse(value: float, mode: str) -> float:
    """A number that is the larger the worse ``value`` is; NaN is worst."""
    if mode not in ("min", "max"):
        raise DataError(report(f"cannot use {mode!r} as mode", at=here(), cure="It is 'min' or 'max'."))
    return float("inf") if value != value else value if mode == "min" else -value
