"""What a run found, as a page in Markdown that names the device and the day."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.times import AIMS

__all__ = ["kept", "written"]

SHARES = {"elem": 0.85, "adam": 0.8}  # of the bytes a second of a copy
HEAD = "<!-- Made by `python -m benchmarks.gpu`: run it again, do not edit this page. -->"


def kept(found: dict[str, Any]) -> dict[str, bool | None]:
    """Of every promise whether it holds; None where it could not be looked at."""
    said: dict[str, bool | None] = {}
    bits, tests, tools = (found.get(name, {}) for name in ("bits", "suites", "sanitizer"))
    said["kernels give the bits of the host's lanes"] = None if "error" in bits or not bits else not bits["wrong"]
    said["tests pass"] = None
    if tests and "error" not in tests:  # if the time was over, all that is known is whether some failed by then
        failed = tests["failed"] or tests["counts"].get("failed")
        said["tests pass"] = False if failed else True if tests["in time"] else None
    for tool in ("memcheck", "racecheck"):
        word = tools.get(tool, "not tried")
        said[f"{tool} finds nothing"] = None if word.startswith("not ") else word == "nothing found"
    said["memory is flat"] = found.get("replays", {}).get("flat")
    if found.get("double"):  # nothing is fast there
        found = {}
    for name, aim in SHARES.items():
        share = found.get(name, {}).get("share")
        said[f"{name}: at least {aim:.0%} of a copy's bytes a second"] = None if share is None else share >= aim
    said["first losses are the peers'"] = agreeing(found.get("times", {}))
    for name, aim in AIMS.items():
        ratio = ratio_of(found.get("times", {}).get(name, {}))
        said[f"{name}: at most {aim:g} times the best peer's time"] = None if ratio is None else ratio <= aim
    return said


def agreeing(times: dict[str, Any]) -> bool | None:
    """Whether every peer's first loss is ours to a thousandth; None if there is no peer."""
    said = []
    for each in times.values():
        ours = each.get("lazygrad", {}).get("loss")
        others = [one["loss"] for peer, one in each.items() if peer != "lazygrad" and "loss" in one]
        said += [] if ours is None else [abs(loss - ours) <= 1e-3 * abs(ours) for loss in others]
    return all(said) if said else None


def ratio_of(times: dict[str, Any]) -> float | None:
    """Our time to that of the best peer, if both are known."""
    others = [one["ms"] for peer, one in times.items() if peer != "lazygrad" and "ms" in one]
    ours = times.get("lazygrad", {}).get("ms")
    return ours / min(others) if others and ours is not None else None


def written(found: dict[str, Any], seconds: float) -> str:
    """The page."""
    return "\n".join([HEAD, "", "# What a GPU showed", "", *_lines(found, seconds), ""])


def _lines(found: dict[str, Any], seconds: float) -> Iterator[str]:
    device = found.get("device", {})
    today = datetime.date.today().isoformat()
    name = device.get("device", "a device unknown")
    yield f"On {today}, in {seconds:.0f} s, by `python -m benchmarks.gpu` on **{name}**."
    yield ""
    yield from (f"- {name}: {value}" for name, value in device.items())
    yield ""
    yield "| promise | holds |"
    yield "|---|---|"
    words = {True: "yes", False: "**no**", None: "not looked at"}
    yield from (f"| {name} | {words[value]} |" for name, value in kept(found).items())
    yield from _correct(found)
    yield from _times(found)


def _correct(found: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Right"
    yield ""
    for name in ("bits", "suites", "sanitizer", "replays"):
        yield f"- {name}: {_said(name, found.get(name, {'error': 'not run'}))}"
        for each in found.get(name, {}).get("wrong", found.get(name, {}).get("failed", [])):
            yield f"    - {each}"


def _said(name: str, what: dict[str, Any]) -> str:
    if "error" in what:
        return f"did not end well: {what['error']}"
    if name == "bits":
        wrong = len(what["wrong"])
        return f"{what['equal']} steps bit for bit, {what['near']} with calls of libraries to rounding, {wrong} wrong"
    if name == "suites":
        counts = ", ".join(f"{n} {word}" for word, n in what["counts"].items())
        return counts + ("" if what["in time"] else ", then the time was over")
    if name == "replays":
        return f"{what['steps']:,} steps; bytes on the device {', '.join(f'{n:,}' for n in what['bytes'])}"
    return "; ".join(f"{tool}: {word}" for tool, word in what.items())


def _times(found: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Fast"
    yield ""
    yield "Milliseconds a step, the median of five rounds. All compute in float32, without TF32."
    yield ""
    peers = ["lazygrad", "pytorch", "pytorch_compile", "jax"]
    yield f"| workload | {' | '.join(peers)} | ratio to the best | aim |"
    yield "|---" * (len(peers) + 3) + "|"
    for name, times in found.get("times", {}).items():
        ratio = ratio_of(times)
        cells = [_cell(times.get(peer, {})) for peer in peers]
        yield f"| {name} | {' | '.join(cells)} | {'' if ratio is None else f'{ratio:.2f}'} | {AIMS[name]:g} |"
    yield ""
    yield "| bytes moved | GB/s | of a copy's | ms | aim |"
    yield "|---|---|---|---|---|"
    for name, aim in SHARES.items():
        one = found.get(name, {"error": "not run"})
        if "error" in one:
            yield f"| {name} | {one['error']} | | | {aim:.0%} |"
        else:
            yield f"| {name} | {one['GB/s']:,.0f} | {one['share']:.0%} | {one['ms']:.3f} | {aim:.0%} |"


def _cell(one: dict[str, Any]) -> str:
    return f"{one['ms']:.3f}" if "ms" in one else str(one.get("error", ""))
