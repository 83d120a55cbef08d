"""The curves of a training as a small SVG, in the colours of the page that it stands in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from lazygrad.markup import cut, escaped

__all__ = ["curves"]

WIDE, HIGH = 300, 170
LEFT, RIGHT, TOP, BELOW = 64, 10, 22, 24
LINE = 15  # from one line of labels to the next
LONG = 32  # characters of a label
# Blue and orange of Okabe and Ito's, which are told apart on white and on black; the second is dashed too.
INKS = (("#3b75af", ""), ("#d08a1d", "5 3"), ("#2a9d78", "2 2"), ("#8a6fbf", "8 3"))
POINTS = 400  # of a curve; more than that cannot be seen


def curves(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """A panel for each name, with a curve for each of its series, from epoch 1 on; what is not finite is a gap."""
    return "".join(_panel(name, series) for name, series in panels.items())


def _panel(name: str, series: Mapping[str, Sequence[float]]) -> str:
    finite = [y for values in series.values() for y in values if math.isfinite(y)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    span = (high - low) or abs(high) or 1.0
    low, high = (low, high) if high > low else (low - span / 2, high + span / 2)
    count = max((len(values) for values in series.values()), default=0)

    def place(k: float, y: float) -> tuple[float, float]:
        x = (k - 1) / max(1, count - 1)
        # Halves, where the difference of the largest numbers is infinite; half of the smallest is 0.
        share = (y - low) / (high - low) if math.isfinite(high - low) else (y / 2 - low / 2) / (high / 2 - low / 2)
        return LEFT + x * (WIDE - LEFT - RIGHT), HIGH - BELOW - share * (HIGH - TOP - BELOW)

    axes = f"M{LEFT} {TOP}V{HIGH - BELOW}H{WIDE - RIGHT}"
    parts = [
        f'<path d="{axes}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>',
        _text(LEFT - 5, HIGH - BELOW, f"{low:.3g}", "end"),
        _text(LEFT - 5, TOP + 8, f"{high:.3g}", "end"),
        _text(LEFT, HIGH - 8, "1", "middle"),
        _text(WIDE - RIGHT, HIGH - 8, f"{count}", "end"),
        _text((LEFT + WIDE - RIGHT) / 2, HIGH - 8, "epoch", "middle"),
    ]
    at, line = LEFT + 4.0, 0
    for number, (label, values) in enumerate(series.items()):
        ink, dash = INKS[number % len(INKS)]
        style = f'stroke="{ink}" stroke-width="1.8"' + (f' stroke-dasharray="{dash}"' if dash else "")
        parts += [f'<path d="{d}" fill="none" {style}/>' for d in [_line(values, place)] if d]
        said = cut(label, LONG)
        wide = 26 + 6.2 * len(said)
        if number and at + wide > WIDE:
            at, line = LEFT + 4.0, line + 1
        # The first line of labels stands above the curves, those that there is no room for below the axis.
        y = TOP - 6 if not line else HIGH + LINE * line - 6
        parts.append(f'<path d="M{at:.0f} {y - 4}h14" {style}/>{_text(at + 18, y, said, "start")}')
        at += wide
    high_in_all = HIGH + LINE * line
    size = f'width="{WIDE}" height="{high_in_all}" viewBox="0 0 {WIDE} {high_in_all}"'
    look = 'style="color: inherit; font: 11px sans-serif; margin: 4px" role="img"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {look}><title>{escaped(name)}</title>{"".join(parts)}</svg>'


def _line(values: Sequence[float], place: Callable[[float, float], tuple[float, float]]) -> str:
    """A path through what is finite; every so many of a long series."""
    step = max(1, len(values) // POINTS)
    chosen = sorted({*range(0, len(values), step), len(values) - 1} - {-1})
    parts = []
    fine = [False, *(math.isfinite(values[k]) for k in chosen), False]
    for number, k in enumerate(chosen, 1):
        if not fine[number]:
            continue
        x, y = place(k + 1, values[k])
        parts.append(f"{'L' if fine[number - 1] else 'M'}{x:.1f} {y:.1f}")
        if not (fine[number - 1] or fine[number + 1]):  # no line leads to it: a ring around it
            parts.append("m-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0")
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="currentColor">{escaped(text)}</text>'
