"""Ours and every installed peer in turn, in fresh processes: ``python -m benchmarks.run``.

Each round runs every peer once (A B C A B C …), so that what the machine does besides falls on all alike.
The losses of the first steps are compared before any speed is.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import pkgutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.process import fresh, keep, load, notice, pin

TOLERANCE = 1e-4  # relative, of the losses of the first CHECK steps; rounding alone has been seen to make 1.2e-5
CHECK = 50
REFERENCE = "numpy_by_hand"

Rounds = dict[str, list[dict[str, Any]]]


class Disagreement(Exception):
    """A peer has computed another loss, so that its speed means nothing."""


def main() -> int:
    """Measure, compare, print, and keep the numbers in a file if asked to."""
    workloads, peers = _workloads(), _peers()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--workload", action="append", choices=workloads, help="again for several; all if not given")
    parser.add_argument("--peer", action="append", choices=peers, help="again for several; all installed if not given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="for every peer alike")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers in this file")
    parser.add_argument("--tiny", action="store_true", help="few steps, compare losses, time nothing")
    asked = parser.parse_args()
    chosen = list(dict.fromkeys([REFERENCE, *(asked.peer or peers)]))
    kept = {}
    busy = load()
    try:
        for workload in asked.workload or workloads:
            rounds, skipped = measured(workload, chosen, asked.rounds, asked.threads, asked.tiny)
            worst = agreed(rounds)
            notice("")
            print(f"\n{workload}: {len(rounds)} computed the same losses, within {worst:.1e} relative")
            for peer, reason in skipped.items():
                print(f"  {peer:<18} left out: {reason}")
            if not asked.tiny:
                kept[workload] = summary(rounds)
                print(table(kept[workload]))
                keep(asked.json, "workloads", kept)
    except Disagreement as reason:
        print(reason, file=sys.stderr)
        return 1
    if not asked.tiny:
        keep(asked.json, "settings", {"rounds": asked.rounds, "threads": asked.threads, "load": busy})
    return 0


def measured(workload: str, peers: list[str], rounds: int, threads: int, tiny: bool) -> tuple[Rounds, dict[str, str]]:
    """For every peer what each round gave, and why others were left out."""
    results: Rounds = {}
    skipped: dict[str, str] = {}
    limits = ("--check", 10, "--stretches", 0) if tiny else ("--check", CHECK)
    with tempfile.TemporaryDirectory() as caches:  # empty in the first round, warm in the others
        environment = {**pin(threads), "PYTENSOR_FLAGS": f"base_compiledir={caches}"}
        for number in range(1 if tiny else rounds):
            for peer in peers:
                if peer in skipped:
                    continue
                notice(f"{workload}, round {number + 1} of {rounds}: {peer}")
                result = fresh(
                    "benchmarks.measure", peer, workload, "--threads", threads, *limits, environment=environment
                )
                if "skipped" in result:
                    skipped[peer] = result["skipped"]
                else:
                    results.setdefault(peer, []).append(result)
    return results, skipped


def agreed(rounds: Rounds) -> float:
    """The largest relative difference of a loss from the reference's.

    Raises:
        Disagreement: it is larger than the tolerance, or a loss is not finite.
    """
    reference, worst = rounds[REFERENCE][0]["losses"], 0.0
    for peer, results in rounds.items():
        for result in results:
            for step, (ours, theirs) in enumerate(zip(result["losses"], reference, strict=True)):
                difference = abs(ours - theirs) / abs(theirs)
                if not difference <= TOLERANCE:  # NaN is not
                    raise Disagreement(f"{peer} has loss {ours!r} at step {step}, {REFERENCE} has {theirs!r}")
                worst = max(worst, difference)
    return worst


def summary(rounds: Rounds) -> dict[str, dict[str, Any]]:
    """For every peer the medians over the rounds; ratios are taken within a round, then their median."""
    steps = {peer: [result["step_us"] for result in results] for peer, results in rounds.items()}
    others = [peer for peer in steps if not peer.startswith("lazygrad")]
    best = min(others, key=lambda peer: statistics.median(steps[peer]))

    def ratio(peer: str, to: str) -> float:
        return rounded(statistics.median(a / b for a, b in zip(steps[peer], steps[to], strict=True)))

    found = {}
    for peer, results in rounds.items():
        later = results[1:] or results
        found[peer] = {
            "name": results[0]["name"],
            "packages": results[0]["packages"],
            "step_us": rounded(statistics.median(steps[peer])),
            "step_us_range": [rounded(min(steps[peer])), rounded(max(steps[peer]))],
            "to_numpy": ratio(peer, REFERENCE),
            "to_best_peer": ratio(peer, best),
            "first_cold_s": rounded(results[0]["first_s"]),
            "first_warm_s": rounded(statistics.median(result["first_s"] for result in later)),
            "import_s": rounded(statistics.median(result["import_s"] for result in later)),
            "memory_mb": rounded(statistics.median(result["memory_mb"] for result in results)),
            "loss": results[0]["losses"][-1],
        }
    return found


def rounded(x: float) -> float:
    """Three digits that count: more would be noise."""
    return float(f"{x:.3g}") if math.isfinite(x) else x


def table(found: dict[str, dict[str, Any]]) -> str:
    """A line a peer, fastest first."""
    columns = ("step_us", "to_numpy", "to_best_peer", "first_cold_s", "first_warm_s", "import_s", "memory_mb")
    lines = ["  " + f"{'peer':<18}" + "".join(f"{column:>14}" for column in columns)]
    for peer, row in sorted(found.items(), key=lambda item: item[1]["step_us"]):
        lines.append("  " + f"{peer:<18}" + "".join(f"{row[column]:>14}" for column in columns))
    return "\n".join(lines)


def _peers() -> list[str]:
    """Every file in ``benchmarks/peers``; found without importing any."""
    found = importlib.util.find_spec("benchmarks.peers")
    assert found is not None
    return [module.name for module in pkgutil.iter_modules(found.submodule_search_locations)]


def _workloads() -> list[str]:
    from benchmarks.workloads import WORKLOADS

    return list(WORKLOADS)


if __name__ == "__main__":
    sys.exit(main())
