"""Ours and every installed peer in turn, in fresh processes: ``python -m benchmarks.run``.

Each round runs every peer once (A B C A B C …), so that what the machine does besides falls on all alike. What the
first steps compute is compared before any speed is.
"""

from __future__ import annotations

import argparse
import importlib.util
import pkgutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.process import Failed, cached, fresh, keep, kept, notice, pin, quiet
from benchmarks.summary import REFERENCE, Disagreement, Rounds, agreed, summary, table
from benchmarks.workloads import WORKLOADS

OURS = "lazygrad"  # with which our peers begin
LIMIT_S = 120  # for one process; what takes longer is left out
HOPELESS = 3  # times the fastest in the first round: too slow to be the best peer, and not measured again


def main() -> int:
    """Measure, compare, print, and keep the numbers in a file if asked to."""
    peers = _peers()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="again for several; all if not given")
    parser.add_argument("--peer", action="append", choices=peers, help="again for several; all installed if not given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="for every peer alike")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for one process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers in this file")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, compare results, time nothing")
    asked = parser.parse_args()
    chosen = list(dict.fromkeys([REFERENCE, *(asked.peer or peers)]))
    # Some workloads alone take the place of their own numbers, and stand beside those of the others.
    before = kept(asked.json) if asked.workload else {}
    sections = {section: before.get(section, {}) for section in ("workloads", "left_out", "disagreements")}
    worst = before.get("settings", {"rounds": asked.rounds, "load": 0})
    sections["settings"] = {
        "rounds": min(asked.rounds, worst["rounds"]),
        "threads": asked.threads,
        "load": worst["load"],
    }
    chosen_workloads = asked.workload or list(WORKLOADS)
    for workload in chosen_workloads:
        if not asked.tiny:
            sections["settings"]["load"] = max(quiet(), sections["settings"]["load"])
        rounds, skipped = measured(workload, chosen, asked.rounds, asked.threads, asked.tiny, asked.limit)
        notice("")
        told(workload, rounds, skipped, asked.tiny, sections)
        for section, content in () if asked.tiny else sections.items():
            keep(asked.json, section, content)
    return 1 if sections["disagreements"].keys() & set(chosen_workloads) else 0


def told(workload: str, rounds: Rounds, skipped: dict[str, str], tiny: bool, sections: dict[str, Any]) -> None:
    """Print what was measured, and put it into the sections in the place of what they had of this workload."""
    for section in ("workloads", "left_out", "disagreements"):
        sections[section].pop(workload, None)
    try:
        largest = agreed(rounds, WORKLOADS[workload].tolerance)
    except Disagreement as disagreement:
        print(f"\n{workload}: {disagreement}", file=sys.stderr)
        sections["disagreements"][workload] = str(disagreement)
        return
    print(f"\n{workload}: {len(rounds)} computed the same, within {largest:.1e} relative")
    for peer, reason in skipped.items():
        print(f"  {peer:<18} left out: {reason}")
    if not tiny:
        sections["workloads"][workload], sections["left_out"][workload] = summary(rounds), skipped
        print(table(sections["workloads"][workload]), flush=True)


def measured(
    workload: str, peers: list[str], rounds: int, threads: int, tiny: bool = False, limit: float = LIMIT_S
) -> tuple[Rounds, dict[str, str]]:
    """For every peer what each round gave, and why others were left out.

    Raises:
        Failed: the reference or one of ours does not run; a peer that does not is left out.
    """
    results: Rounds = {}
    skipped: dict[str, str] = {}
    arguments = (workload, "--threads", threads, *(("--tiny", "--stretches", 0) if tiny else ()))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as caches:  # empty in the first round alone
        environment = {**pin(threads), **cached(Path(caches))}
        for number in range(1 if tiny else rounds):
            for peer in peers if not number else hopeful(results):
                notice(f"{workload}, round {number + 1} of {rounds}: {peer}")
                try:
                    result = fresh("benchmarks.measure", peer, *arguments, environment=environment, limit=limit)
                except Failed as reason:
                    if peer == REFERENCE or peer.startswith(OURS):
                        raise
                    result = {"skipped": str(reason)}
                if "skipped" not in result:
                    results.setdefault(peer, []).append(result)
                elif result["skipped"]:  # it has a program, and does not run
                    results.pop(peer, None)
                    skipped[peer] = result["skipped"]
    return results, skipped


def hopeful(results: Rounds) -> list[str]:
    """Those to measure in the next round: ours, the reference, and what may be the best peer."""
    first = {peer: measured[0]["step_us"] for peer, measured in results.items()}
    best = min(first.values())
    return [
        peer
        for peer, step_us in first.items()
        if step_us <= HOPELESS * best or peer == REFERENCE or peer.startswith(OURS)
    ]


def _peers() -> list[str]:
    """Everything in ``benchmarks/peers``; found without importing any."""
    found = importlib.util.find_spec("benchmarks.peers")
    assert found is not None
    return [module.name for module in pkgutil.iter_modules(found.submodule_search_locations)]


if __name__ == "__main__":
    sys.exit(main())
