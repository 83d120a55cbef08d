"""What was aimed at beside what was measured, a row an aim."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from benchmarks import chain, first, imports, layers, memory, scans
from benchmarks.workloads import CHAINS, WORKLOADS

TO_NUMPY = 1.2
NEAR_NUMPY = ("linreg", "sine", "mnist_mlp", "king")
RUN_ABOVE_COMPILE_US = 250

Row = tuple[str, str, bool]


def aims(results: dict[str, Any]) -> str:
    """The table, in Markdown; of what was not measured there is no row."""
    rows = [*_speeds(results["workloads"]), *_first(results.get("first")), *_layers(results.get("layers", {}))]
    rows += [*_scans(results.get("scans")), *_others(results), *_fits(results.get("optimize", {"rows": []})["rows"])]
    lines = [f"| {aim} | {measured} | {'met' if met else '**missed**'} |" for aim, measured, met in rows]
    return "\n".join(["| aim | measured | met / missed |", "|---|---|---|", *lines])


def _speeds(measured: dict[str, Any]) -> Iterator[Row]:
    for name, workload in WORKLOADS.items():
        if workload.aim is None or name not in measured:
            continue
        rows = measured[name]
        ratio = rows["lazygrad_compile"]["to_best_peer"]
        best = next(row["name"] for peer, row in rows.items() if row["to_best_peer"] == 1 and "lazygrad" not in peer)
        yield f"`{name}`: `compile` ≤ {workload.aim:g} × the best peer", f"{ratio:.2f} × {best}", ratio <= workload.aim
    for name in NEAR_NUMPY:
        if name in measured:
            ratio = measured[name]["lazygrad_compile"]["to_numpy"]
            yield f"`{name}`: `compile` ≤ {TO_NUMPY} × NumPy by hand", f"{ratio:.2f} ×", ratio <= TO_NUMPY
    if "sine" in measured:
        above = measured["sine"]["lazygrad_run"]["step_us"] - measured["sine"]["lazygrad_compile"]["step_us"]
        aim = f"`sine`: `run` within {RUN_ABOVE_COMPILE_US} µs of `compile`"
        yield aim, f"{above:.0f} µs", above <= RUN_ABOVE_COMPILE_US


def _fits(rows: list[dict[str, Any]]) -> Iterator[Row]:
    for row in rows:
        ratio = row["ours_s"] / row["theirs_s"]
        yield f"{row['what']} ≤ {row['aim']:g} × {row['peer']}", f"{ratio:.2f} ×", ratio <= row["aim"]


def _first(found: dict[str, Any] | None) -> Iterator[Row]:
    if found is None:
        return
    ours, jax = found["peers"][first.OURS], found["peers"].get("jax")
    step = f"`{first.WORKLOAD}`"
    seconds = ours["first_cold_s"]
    yield f"{step}: first loss within {first.FIRST_S * 1e3:g} ms", f"{seconds * 1e3:.0f} ms", seconds <= first.FIRST_S
    if jax is not None:
        ratio = ours["ready_cold_s"] / jax["first_cold_s"]
        measured = f"{ratio:.2f} × ({ours['ready_cold_s']:.2f} s)"
        yield f"{step}: native within {first.TO_JAX:g} × the first call of JAX", measured, ratio <= first.TO_JAX
    seconds = ours["ready_warm_s"]
    aim = f"{step}: native from a warm cache within {first.WARM_S * 1e3:g} ms"
    yield aim, f"{seconds * 1e3:.0f} ms", seconds <= first.WARM_S
    held = ours["resident_mb"]
    aim = f"{step}: the process holds at most {first.MEMORY_MB} MB after {first.STEPS} steps"
    yield aim, f"{held:.0f} MB", held <= first.MEMORY_MB


def _layers(found: dict[str, Any]) -> Iterator[Row]:
    measured = [(CHAINS[name].layers, found[name]["peers"]["lazygrad_compile"]) for name in CHAINS if name in found]
    for (few, short), (many, long) in pairwise(measured):
        most = layers.LINEAR * many / few / 10
        ratio = long["ready_cold_s"] / short["ready_cold_s"]
        aim = f"{many:,} layers compile in at most {most:g} × the time of {few:,}"
        yield aim, f"{ratio:.1f} × ({long['ready_cold_s'] / many * 1e3:.2g} ms a layer)", ratio <= most


def _scans(found: dict[str, Any] | None) -> Iterator[Row]:
    if found is None:
        return
    for name, times in found["times"].items():
        (few, short), (many, long) = sorted((int(turns), seconds) for turns, seconds in times.items())
        ratio, (least, most) = long / short, scans.RATIO
        aim = f"`{name}`: {many:,} turns take {least:g}–{most:g} × what {few:,} take"
        yield aim, f"{ratio:.1f} ×", least <= ratio <= most
    slowest = max(found["writing"].values()) * 1e3
    aim = f"writing and planning `rk4` with its gradient, whatever the turns, within {scans.WRITING_MS:g} ms"
    yield aim, f"{slowest:.1f} ms", slowest <= scans.WRITING_MS
    peaks = sorted((int(turns), mb) for turns, mb in found["memory"]["checkpoint"].items())
    for (few, low), (many, high) in pairwise(peaks):
        aim = (
            f"a gradient through {many:,} checkpointed turns takes at most {scans.ROOT_RATIO:g} × the memory of {few:,}"
        )
        yield aim, f"{high / low:.1f} × ({high:.0f} MB)", high <= scans.ROOT_RATIO * low


def _others(results: dict[str, Any]) -> Iterator[Row]:
    seconds, numpy_s = (results["imports"][package]["seconds"] for package in ("lazygrad", "numpy"))
    measured = f"{seconds:.2f} s; NumPy alone {numpy_s:.2f} s"
    yield f"`import lazygrad` ≤ {imports.SECONDS} s", measured, seconds <= imports.SECONDS
    short, long = sorted((key for key in results["chain"] if key.isdigit()), key=int)
    ratio, (least, most) = results["chain"]["ratio"], chain.RATIO
    aim = f"a chain of {int(long):,} ops costs {least}–{most} × one of {int(short):,}"
    yield aim, f"{ratio:.1f} × ({results['chain'][long]['total_s']:.1f} s)", least <= ratio <= most
    peak = results["chain"][long]["memory_mb"]
    yield f"and takes less than {chain.MEMORY_MB} MB", f"{peak:.0f} MB", peak < chain.MEMORY_MB
    calls, growth = results["memory"]["calls"], results["memory"]["growth_mb"]
    aim = f"{calls:,} calls of `env.run` grow by less than {memory.GROWTH_MB} MB after the first {memory.FIRST:,}"
    yield aim, f"{growth:.2f} MB", growth < memory.GROWTH_MB
