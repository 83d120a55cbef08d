"""Chains of layers: compiling must take time in proportion to their number. ``python -m benchmarks.layers``.

A chain is dense layers of 32 × 32 with tanh between them, one step of SGD on a batch of 32, beside JAX on the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from benchmarks.process import fresh, keep, notice, pin, quiet
from benchmarks.run import measured
from benchmarks.summary import REFERENCE, Disagreement, agreed, rounded, summary
from benchmarks.workloads import CHAINS

LIMIT_S = 120
LINEAR = 13  # times as long for ten times as many layers, at most
PEERS = [REFERENCE, "lazygrad_compile", "jax"]


def main() -> int:
    """Seconds until the code of each chain is in place, milliseconds a layer, and microseconds a step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description=__doc__)
    parser.add_argument("--chain", action="append", choices=CHAINS, help="again for several; all if not given")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for one process")
    parser.add_argument("--tiny", action="store_true", help="do not wait for a quiet machine: to try that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--trace", choices=CHAINS, help="trace this alone, in this process")
    asked = parser.parse_args()
    if asked.trace:
        print(json.dumps({"trace_s": traced(asked.trace)}))
        return 0
    kept = {}
    for name in asked.chain or CHAINS:
        busy = 0.0 if asked.tiny else quiet()
        try:
            rounds, left_out = measured(name, PEERS, asked.rounds, asked.threads, limit=asked.limit)
            agreed(rounds, CHAINS[name].tolerance)
        except Disagreement as disagreement:
            print(f"{name}: {disagreement}", file=sys.stderr)
            return 1
        environment = pin(asked.threads)
        traces = [fresh("benchmarks.layers", "--trace", name, environment=environment) for _ in range(asked.rounds)]
        notice("")
        rows = summary(rounds)
        rows["lazygrad_compile"]["trace_s"] = rounded(statistics.median(row["trace_s"] for row in traces))
        kept[name] = {"layers": CHAINS[name].layers, "peers": rows, "left_out": left_out, "load": busy}
        print(f"\n{name}")
        for peer, row in rows.items():
            each = row["ready_cold_s"] / CHAINS[name].layers * 1e3
            trace = f", of which {row['trace_s']} s to trace" if "trace_s" in row else ""
            print(f"  {peer:<18} {row['ready_cold_s']:>8} s = {each:.2f} ms a layer{trace}; {row['step_us']} µs a step")
        for peer, reason in left_out.items():
            print(f"  {peer:<18} left out: {reason}", flush=True)
        keep(asked.json, "layers", kept)
    return 0


def traced(name: str) -> float:
    """Seconds to write the graph of a step: forward, gradient and update."""
    from benchmarks.peers.lazygrad_run.dense import program

    env, step, batches = program(CHAINS[name])
    start = time.perf_counter()
    env.trace(step, *batches[0])
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
