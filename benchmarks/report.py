"""The page of results: ``python -m benchmarks.report`` writes ``docs/benchmarks.md`` from ``results.json``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import chain, imports, memory
from benchmarks.process import ROOT
from benchmarks.run import CHECK, REFERENCE, TOLERANCE
from benchmarks.workloads import WORKLOADS

TO_NUMPY = 1.2
RUN_ABOVE_COMPILE_US = 250
BUSY = 0.5  # load before the measurement from which other programs have a say in it
RESULTS, REMARKS, PAGE = ROOT / "benchmarks/results.json", ROOT / "benchmarks/remarks.md", ROOT / "docs/benchmarks.md"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS)
    parser.add_argument("--to", type=Path, default=PAGE, metavar="FILE")
    asked = parser.parse_args()
    asked.to.write_text(page(json.loads(asked.results.read_text(encoding="utf-8"))), encoding="utf-8")


def page(results: dict[str, Any]) -> str:
    """The page, in Markdown."""
    parts = [HEAD, in_words(results), "## Aims", aims(results)]
    if REMARKS.exists():
        parts.append(REMARKS.read_text(encoding="utf-8").strip())
    for name, rows in in_order(results):
        parts += [f"## {name}", f"{WORKLOADS[name]}.", speeds(rows)]
    return "\n\n".join([*parts, TAIL]) + "\n"


def in_order(results: dict[str, Any]) -> list[tuple[str, Any]]:
    """The workloads that were measured, in the order of their definition."""
    return [(name, results["workloads"][name]) for name in WORKLOADS if name in results["workloads"]]


def in_words(results: dict[str, Any]) -> str:
    """The machine, the versions, and how often was measured."""
    machine, settings = results["machine"], results["settings"]
    packages: dict[str, str] = {}
    for rows in results["workloads"].values():
        for row in rows.values():
            packages.update(row["packages"])
    listed = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    busy = ""
    if settings["load"] > BUSY:
        busy = f" **The machine was busy, with a load of {settings['load']:g}: these numbers are not to be trusted.**"
    return (
        f"Measured on {machine['system']}, {machine['cores']} cores ({machine['processor']}), "
        f"{settings['threads']} threads for every peer, {settings['rounds']} rounds; "
        f"Python {machine['python']}, {listed}.{busy}"
    )


def aims(results: dict[str, Any]) -> str:
    """What was aimed at, what was measured, and whether it was met."""
    rows = []
    for name, found in in_order(results):
        ratio = found["lazygrad_compile"]["to_numpy"]
        rows.append((f"`{name}`: `compile` ≤ {TO_NUMPY} × NumPy by hand", f"{ratio:.2f} ×", ratio <= TO_NUMPY))
    if "sine" in results["workloads"]:
        sine = results["workloads"]["sine"]
        above = sine["lazygrad_run"]["step_us"] - sine["lazygrad_compile"]["step_us"]
        aim = f"`sine`: `run` within {RUN_ABOVE_COMPILE_US} µs of `compile`"
        rows.append((aim, f"{above:.0f} µs", above <= RUN_ABOVE_COMPILE_US))
    seconds, numpy_s = (results["imports"][package]["seconds"] for package in ("lazygrad", "numpy"))
    measured = f"{seconds:.2f} s; NumPy alone {numpy_s:.2f} s"
    rows.append((f"`import lazygrad` ≤ {imports.SECONDS} s", measured, seconds <= imports.SECONDS))
    short, long = sorted((key for key in results["chain"] if key.isdigit()), key=int)
    ratio, (least, most) = results["chain"]["ratio"], chain.RATIO
    aim = f"a chain of {int(long):,} ops costs {least}–{most} × one of {int(short):,}"
    rows.append((aim, f"{ratio:.1f} × ({results['chain'][long]['total_s']:.1f} s)", least <= ratio <= most))
    peak = results["chain"][long]["memory_mb"]
    rows.append((f"and takes less than {chain.MEMORY_MB} MB", f"{peak:.0f} MB", peak < chain.MEMORY_MB))
    calls, growth = results["memory"]["calls"], results["memory"]["growth_mb"]
    aim = f"{calls:,} calls of `env.run` grow by less than {memory.GROWTH_MB} MB after the first {memory.FIRST:,}"
    rows.append((aim, f"{growth:.2f} MB", growth < memory.GROWTH_MB))
    lines = [f"| {aim} | {measured} | {'met' if met else '**missed**'} |" for aim, measured, met in rows]
    return "\n".join(["| aim | measured | |", "|---|---|---|", *lines])


def speeds(rows: dict[str, Any]) -> str:
    """A line a peer, fastest first."""
    lines = [
        "| | µs a step | range | ÷ NumPy | ÷ best peer | first call, s | again, s | import, s | peak memory, MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for peer, row in sorted(rows.items(), key=lambda item: item[1]["step_us"]):
        name = f"**{row['name']}**" if peer.startswith("lazygrad") else row["name"]
        low, high = row["step_us_range"]
        cells = [
            f"{row['step_us']:,g}",
            f"{low:,g}–{high:,g}",
            "1" if peer == REFERENCE else f"{row['to_numpy']:.3g}",
            f"{row['to_best_peer']:.3g}",
            f"{row['first_cold_s']:.3g}",
            f"{row['first_warm_s']:.3g}",
            f"{row['import_s']:.2f}",
            f"{row['memory_mb']:.0f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


HEAD = """\
<!-- python -m benchmarks.report wrote this page: change benchmarks/remarks.md, or measure again. -->
# Benchmarks

One training step of a small network: forward, backward and update, in float32. lazygrad stands beside NumPy with the
derivatives written by hand, and beside other frameworks, each used as its own users would use it."""

TAIL = f"""\
## How it is measured

Every peer starts from the same parameters and learns from the same eight batches. The losses of the first {CHECK} steps
must be NumPy's within {TOLERANCE:g} relative, or nothing is reported. Every measurement is a fresh process, and each
round runs every peer once, so that whatever else the machine does falls on all alike. Threads are pinned alike for all.

- *µs a step*: the median over rounds of the median of five stretches of hundreds of steps; *range* is over the rounds.
- *÷ NumPy* and *÷ best peer*: ratios within a round, the median over rounds. Only ratios carry over to other machines.
- *first call*: from the framework imported to the first loss, caches empty; *again*: with what it keeps on disk.
- *import*: of the framework, NumPy included. *Peak memory*: of the process, all data included.

A chain is sines of eight numbers, written, differentiated and run once in a fresh process. The small step that is run a
million times is `linreg`.

## How to repeat it

From the root of the repository, with the package installed; a peer that is not installed is left out.

```bash
python -m pip install torch jax optax pytensor autograd
python -m benchmarks.run --json benchmarks/results.json
python -m benchmarks.chain --json benchmarks/results.json
python -m benchmarks.memory --json benchmarks/results.json
python -m benchmarks.imports --json benchmarks/results.json
python -m benchmarks.report
```

`python -m benchmarks.run --workload sine --peer jax` takes parts of it; `--tiny` compares losses and times nothing,
as the tests do: no test is timed."""


if __name__ == "__main__":
    main()
