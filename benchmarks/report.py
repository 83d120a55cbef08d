"""The page of results: ``python -m benchmarks.report`` writes ``docs/benchmarks.md`` from ``results.json``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import first
from benchmarks.aims import aims
from benchmarks.process import QUIET, ROOT
from benchmarks.run import HOPELESS, LIMIT_S
from benchmarks.summary import REFERENCE
from benchmarks.workloads import CHAINS, WORKLOADS

RESULTS, REMARKS, PAGE = ROOT / "benchmarks/results.json", ROOT / "benchmarks/remarks.md", ROOT / "docs/benchmarks.md"


def main() -> None:
    """Write the page, if the machine did nothing else while it was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS)
    parser.add_argument("--to", type=Path, default=PAGE, metavar="FILE")
    asked = parser.parse_args()
    results = json.loads(asked.results.read_text(encoding="utf-8"))
    if (used := busy(results)) > QUIET:
        sys.exit(
            f"The page is not written: other programs used {used:g} cores while it was measured, and no more than "
            f"{QUIET:g} leaves the numbers alone. End them, and measure again: python -m benchmarks."
        )
    asked.to.write_text(page(results), encoding="utf-8")


def page(results: dict[str, Any]) -> str:
    """The page, in Markdown."""
    parts = [HEAD, in_words(results), "## Aims", aims(results)]
    if REMARKS.exists():
        parts.append(REMARKS.read_text(encoding="utf-8").strip())
    for name, workload in WORKLOADS.items():
        if name in results["workloads"]:
            parts += [f"## {name}", f"{workload.measures}. {workload}.", speeds(results["workloads"][name])]
            parts += left_out(results.get("left_out", {}).get(name, {}))
        elif name in results.get("disagreements", {}):
            text = f"**Not measured, as not all computed the same**: {results['disagreements'][name]}."
            parts += [f"## {name}", f"{workload.measures}. {workload}.", text]
    if "layers" in results:
        parts += ["## Chains of layers", LAYERS, layers(results["layers"])]
        for name in CHAINS:
            parts += left_out(results["layers"].get(name, {}).get("left_out", {}), f"{CHAINS[name].layers:,} layers: ")
    if "first" in results:
        parts += ["## First call", FIRST, firsts(results["first"]["peers"]), *left_out(results["first"]["left_out"])]
    if "optimize" in results:
        parts += ["## Minima and fits", OPTIMIZE, fits(results["optimize"]["rows"])]
    if "device" in results:
        parts += ["## What a GPU would run", DEVICE, counts_of_steps(results["device"])]
    return "\n\n".join([*parts, TAIL]) + "\n"


def in_words(results: dict[str, Any]) -> str:
    """The machine, the versions, and how often was measured."""
    machine, settings = results["machine"], results["settings"]
    packages: dict[str, str] = {}
    for rows in results["workloads"].values():
        for row in rows.values():
            packages.update(row["packages"])
    listed = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    return (
        f"Measured on {machine['system']}, {machine['cores']} cores ({machine['processor']}), "
        f"{settings['threads']} threads for every peer, {settings['rounds']} rounds of the workloads; "
        f"Python {machine['python']}, {listed}. Other programs used no more than {busy(results):g} cores."
    )


def busy(results: dict[str, Any]) -> float:
    """How many cores other programs used, at most, before a part was measured."""
    alone = (results.get(section, {}) for section in ("first", "optimize"))
    parts = (results["settings"], *alone, *results.get("layers", {}).values())
    return float(max(part.get("load", 0) for part in parts))


def speeds(rows: dict[str, Any]) -> str:
    """A line a peer, fastest first."""
    columns = ("µs a step", "range", "÷ NumPy", "÷ best peer", "first call, s", "in place, s", "again, s", "import, s")
    lines = []
    for peer, row in sorted(rows.items(), key=lambda item: item[1]["step_us"]):
        low, high = row["step_us_range"]
        cells = (
            f"{row['step_us']:,g}",
            f"{low:,g}–{high:,g}",
            "1" if peer == REFERENCE else f"{row['to_numpy']:.3g}",
            f"{row['to_best_peer']:.3g}",
            seconds(row["first_cold_s"]),
            seconds(row.get("ready_cold_s")),
            seconds(row["first_warm_s"]),
            f"{row['import_s']:.2f}",
            f"{row['memory_mb']:.0f}",
        )
        lines.append((named(peer, row), *cells))
    return table(("", *columns, "peak memory, MB"), lines)


def layers(chains: dict[str, Any]) -> str:
    """A line a chain and peer."""
    lines = []
    for found in (chains[name] for name in CHAINS if name in chains):
        for peer, row in sorted(found["peers"].items(), key=lambda item: item[1]["step_us"]):
            each = f"{row['ready_cold_s'] / found['layers'] * 1e3:.3g}"
            traced = f"{row['trace_s'] / found['layers'] * 1e3:.3g}" if "trace_s" in row else ""
            cells = (seconds(row["ready_cold_s"]), each, traced, f"{row['step_us']:,g}", f"{row['to_best_peer']:.3g}")
            lines.append((f"{found['layers']:,}", named(peer, row), *cells))
    columns = ("layers", "", "in place, s", "ms a layer", "of which to trace", "µs a step", "÷ best peer")
    return table(columns, lines, words=2)


def firsts(rows: dict[str, Any]) -> str:
    """A line a peer and cache."""
    lines = []
    for peer, row in sorted(rows.items(), key=lambda item: item[1]["ready_cold_s"]):
        for cache in ("cold", "warm"):
            times = seconds(row[f"first_{cache}_s"]), seconds(row[f"ready_{cache}_s"])
            lines.append((named(peer, row), cache, *times, f"{row['import_s']:.2f}", f"{row['resident_mb']:.0f}"))
    columns = ("", "cache", "first loss, s", "in place, s", "import, s", f"memory after {first.STEPS} steps, MB")
    return table(columns, lines, words=2)


def fits(rows: list[dict[str, Any]]) -> str:
    """A line a problem."""
    columns = ("", "beside", "lazygrad, ms", "the other, ms", "ratio")
    lines = []
    for row in rows:
        times = (f"{row[side] * 1e3:,.3g}" for side in ("ours_s", "theirs_s"))
        lines.append((row["what"], row["peer"], *times, f"{row['ours_s'] / row['theirs_s']:.2f}"))
    return table(columns, lines, words=2)


def counts_of_steps(rows: dict[str, Any]) -> str:
    """A line a workload: what :mod:`benchmarks.device` counts."""
    lines = []
    for name, row in rows.items():
        called = ", ".join(f"{count:,} {op}" for op, count in row["calls"].items()) or "none"
        moved, least = (f"{nbytes / 1e6:,.2f}" for nbytes in (row["nbytes"], row["least"]))
        numbers = f"{row['launches']:,}", f"{row['products']:,}"
        lines.append((name, *numbers, called, moved, least, f"{row['operations'] / 1e6:,.2f}"))
    columns = ("launches", "products", "calls back", "MB moved", "MB at least", "million operations")
    return table(("", *columns), lines)


def left_out(peers: dict[str, str], before: str = "") -> list[str]:
    """Who is missing, and why; nothing where nobody is."""
    said = "; ".join(f"`{peer}` {reason}" for peer, reason in peers.items())
    return [f"Left out: {before}{said}."] if said else []


def named(peer: str, row: dict[str, Any]) -> str:
    """What the table calls a peer; ours stands out."""
    return f"**{row['name']}**" if peer.startswith("lazygrad") else str(row["name"])


def seconds(time: float | None) -> str:
    """Three digits, or nothing."""
    return "" if time is None else f"{time:.3g}"


def table(columns: Iterable[str], lines: Iterable[Iterable[str]], words: int = 1) -> str:
    """In Markdown; the first columns are words, the others numbers."""
    columns = list(columns)
    rule = ["---"] * words + ["---:"] * (len(columns) - words)
    rows = (" | ".join(cells) for cells in (columns, *lines))
    head, *body = (f"| {row} |".replace("|  |", "| |") for row in rows)
    return "\n".join([head, f"|{'|'.join(rule)}|", *body])


HEAD = """\
<!-- python -m benchmarks.report wrote this page: change benchmarks/remarks.md, or measure again. -->
# Benchmarks

Steps of training and other numerical work, in float32 where nothing else is said. lazygrad stands beside NumPy with
the derivatives written by hand, and beside other frameworks, each used as its own users would use it."""

LAYERS = """\
Dense layers of 32 × 32 with tanh between them, one step of SGD on a batch of 32. *In place*: from the framework
imported to the code in place that later steps run, caches empty; *of which to trace*: milliseconds a layer to write the
graph of forward, gradient and update."""

FIRST = f"""\
The `{first.WORKLOAD}` step, from the framework imported. *Cold*: with nothing on disk; *warm*: with what a process
before left there; JAX keeps nothing unless it is told to. *In place*: when the code is there that later steps run. The
first loss of lazygrad comes from NumPy, while that code is compiled."""

OPTIMIZE = """\
`lg.optimize` beside what has the derivatives written by hand, in float64: the same method from the same start to the
same tolerance, the least time of calls in turns. The solutions are compared first. What was found of the problems that
others certify, the regressions of NIST and the functions of Moré, Garbow and Hillstrom, is what
`python -m benchmarks.certified` prints."""

DEVICE = """\
Counted, not measured: no GPU was at hand. A step is so many *launches* of kernels, those that do not wait for each
other as one, *products* by cuBLAS, and *calls back* to CuPy, each of which is some launches of CuPy's own. *MB moved*:
what all of them read and write, each element once a kernel; *at least*: inputs, variables and results, once. Turns of
loops that are not one kernel count each. `python -m benchmarks.device --keep` counts anew, and
`compiled.plan.explain()` says it of any step."""

TAIL = f"""\
## How it is measured

Every peer starts from the same parameters and works on the same data. What the first steps compute, the losses or the
arrays themselves, must be what NumPy computes, to a tolerance that each workload states with its reason, or nothing is
reported. Every measurement is a fresh process, and each round runs every peer once, so that whatever else the machine
does falls on all alike. Threads are pinned alike for all. A peer that took over {HOPELESS} × as long as the fastest in
the first round is not measured again, and one whose process takes longer than {LIMIT_S} s is left out.

- *µs a step*: the median over rounds of the median of five stretches of some 0.2 s; *range* is over the rounds.
- *÷ NumPy* and *÷ best peer*: ratios within a round, the median over rounds. Only ratios carry over to other machines.
- *first call*: from the framework imported to the first result, caches empty; *in place*: to the code that later steps
  run; *again*: to the first result with what it keeps on disk.
- *import*: of the framework, NumPy included. *Peak memory*: of the process, all data included.

The LSTM of JAX is a `lax.scan`, which is faster there than unrolled; that of PyTorch is `nn.LSTM`, which is faster than
one written out, compiled or not; that of PyTensor is unrolled, which is faster than its scan. An iteration of
scikit-learn is its `fit` over a second divided by the iterations. A chain of ops is sines of eight numbers, written,
differentiated and run once in a fresh process. The small step that is run a million times is `linreg`.

## How to repeat it

From the root of the repository, with the package installed; a peer that is not installed is left out.

```bash
python -m pip install torch jax optax pytensor autograd scikit-learn
python -m benchmarks
```

That runs `benchmarks.run`, `layers`, `first`, `chain`, `memory`, `scans`, `imports`, `optimize`, `certified` and
`report` one after the other, each part when other programs leave the machine alone.
`python -m benchmarks.run --workload sine --peer jax` takes parts of it, and with `--json benchmarks/results.json` puts
the new numbers beside those of the other workloads; `--tiny` compares results at tiny sizes and times nothing, as the
tests do: no test is timed."""


if __name__ == "__main__":
    main()
