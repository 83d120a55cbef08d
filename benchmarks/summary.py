"""What rounds of measurements come to: whether all computed the same, medians, ratios, and a table of them."""

from __future__ import annotations

import math
import statistics
from typing import Any

__all__ = ["REFERENCE", "Disagreement", "Rounds", "agreed", "rounded", "summary", "table"]

REFERENCE = "numpy_by_hand"
COLUMNS = (
    "step_us",
    "to_numpy",
    "to_best_peer",
    "first_cold_s",
    "ready_cold_s",
    "first_warm_s",
    "import_s",
    "memory_mb",
)

Rounds = dict[str, list[dict[str, Any]]]


class Disagreement(Exception):
    """A peer has computed something else, so that its speed means nothing."""


def agreed(rounds: Rounds, tolerance: float) -> float:
    """The largest difference of any array from the reference's, relative to the largest element of that.

    Raises:
        Disagreement: it is larger than the tolerance, or a number is not finite.
    """
    reference, worst = rounds[REFERENCE][0]["values"], 0.0
    for peer, results in rounds.items():
        for result in results:
            for step, (arrays, expected) in enumerate(zip(result["values"], reference, strict=True)):
                for ours, theirs in zip(arrays, expected, strict=True):
                    scale = max(map(abs, theirs))
                    for a, b in zip(ours, theirs, strict=True):
                        difference = abs(a - b) / scale if a != b else 0.0
                        if not difference <= tolerance:  # NaN is not
                            raise Disagreement(f"{peer} has {a!r} at step {step}, {REFERENCE} has {b!r}")
                        worst = max(worst, difference)
    return worst


def summary(rounds: Rounds) -> dict[str, dict[str, Any]]:
    """For every peer the medians over the rounds; ratios are taken within a round, then their median.

    A peer may have been measured in the first rounds alone.
    """
    steps = {peer: [result["step_us"] for result in results] for peer, results in rounds.items()}
    others = [peer for peer in steps if not peer.startswith("lazygrad")]
    best = min(others, key=lambda peer: statistics.median(steps[peer]))

    def ratio(peer: str, to: str) -> float:
        return rounded(statistics.median(a / b for a, b in zip(steps[peer], steps[to], strict=False)))

    found = {}
    for peer, results in rounds.items():
        later = results[1:]
        found[peer] = {
            "name": results[0]["name"],
            "packages": results[0]["packages"],
            "step_us": rounded(statistics.median(steps[peer])),
            "step_us_range": [rounded(min(steps[peer])), rounded(max(steps[peer]))],
            "to_numpy": ratio(peer, REFERENCE),
            "to_best_peer": ratio(peer, best),
            "first_cold_s": rounded(results[0]["first_s"]),
            "ready_cold_s": rounded(results[0]["ready_s"]),
            "first_warm_s": rounded(statistics.median(result["first_s"] for result in later)) if later else None,
            "import_s": rounded(statistics.median(result["import_s"] for result in later or results)),
            "memory_mb": rounded(statistics.median(result["memory_mb"] for result in results)),
        }
    return found


def rounded(x: float) -> float:
    """Three digits that count: more would be noise."""
    return float(f"{x:.3g}") if math.isfinite(x) else x


def table(found: dict[str, dict[str, Any]]) -> str:
    """A line a peer, fastest first."""
    lines = ["  " + f"{'peer':<18}" + "".join(f"{column:>14}" for column in COLUMNS)]
    for peer, row in sorted(found.items(), key=lambda item: item[1]["step_us"]):
        cells = ["-" if row[column] is None else row[column] for column in COLUMNS]
        lines.append("  " + f"{peer:<18}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)
