"""From the import to the code in place, for the ``king`` step: ``python -m benchmarks.first``.

Each peer in fresh processes, twice a round: with nothing on disk, then with what the first left there. After a
hundred steps it says how much memory the process holds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.process import Failed, cached, fresh, keep, notice, pin, quiet
from benchmarks.summary import rounded

WORKLOAD = "king"
OURS = "lazygrad_compile"
PEERS = (OURS, "jax", "pytensor", "pytorch_compile")  # those that compile
STEPS = 100
LIMIT_S = 120
FIRST_S, WARM_S, MEMORY_MB, TO_JAX = 0.05, 0.05, 110, 0.4


def main() -> None:
    """The medians over the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first", description=__doc__)
    parser.add_argument("--peer", action="append", choices=PEERS, help="again for several; all if not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes; the times then mean nothing")
    asked = parser.parse_args()
    peers = asked.peer or PEERS
    rounds: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    left_out: dict[str, str] = {}
    busy = 0.0 if asked.tiny else quiet()
    for number in range(asked.rounds):
        for peer in peers:
            notice(f"{peer}, round {number + 1} of {asked.rounds}")
            if peer in left_out:
                continue
            found = cold_and_warm(peer, asked.threads, asked.tiny)
            if isinstance(found, str):
                left_out[peer] = found
            else:
                rounds[peer].append(found)
    notice("")
    rows = {peer: medians(results) for peer, results in rounds.items() if peer not in left_out}
    for peer, row in rows.items():
        print(f"{peer:<18} import {row['import_s']} s, {row['resident_mb']} MB after {STEPS} steps")
        for cache in ("cold", "warm"):
            first, ready = row[f"first_{cache}_s"], row[f"ready_{cache}_s"]
            print(f"  {cache}: first result after {first} s, code in place after {ready} s")
    for peer, reason in left_out.items():
        print(f"{peer:<18} left out: {reason}")
    keep(asked.json, "first", {"peers": rows, "left_out": left_out, "rounds": asked.rounds, "load": busy})


def cold_and_warm(peer: str, threads: int, tiny: bool) -> dict[str, Any] | str:
    """What a process measures with an empty cache and another one after it; or why the peer is left out."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = {**pin(threads), **cached(Path(folder))}
        arguments = (peer, WORKLOAD, "--threads", threads, "--steps", STEPS, "--stretches", 0, *["--tiny"] * tiny)
        results = []
        for _ in range(2):
            try:
                result = fresh("benchmarks.measure", *arguments, environment=environment, limit=LIMIT_S)
            except Failed as reason:
                if peer == OURS:
                    raise
                return str(reason)
            if "skipped" in result:
                return str(result["skipped"])
            results.append(result)
    cold, warm = results
    return {
        "name": cold["name"],
        "import_s": warm["import_s"],  # the first may have to compile to bytecode
        "resident_mb": cold["resident_mb"],
        "first_cold_s": cold["first_s"],
        "ready_cold_s": cold["ready_s"],
        "first_warm_s": warm["first_s"],
        "ready_warm_s": warm["ready_s"],
    }


def medians(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each number over the rounds."""
    numbers = [key for key in results[0] if key != "name"]
    found = {key: rounded(statistics.median(result[key] for result in results)) for key in numbers}
    return {"name": results[0]["name"], **found}


if __name__ == "__main__":
    main()
