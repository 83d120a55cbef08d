"""Sums of many terms: compiling takes time in proportion to their number. ``python -m benchmarks.terms``.

A sum of f(x·k), with another number k in each term, over 1,000 numbers of float32. Each sum is compiled in a fresh
process, with nothing on disk. *Growth* is how many times as long twice the terms take. JAX is measured beside it where
it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.process import fresh, keep, notice, pin

FUNCTIONS = ("sin", "exp", "tanh", "tan", "gammaln")
TERMS = (125, 250, 500, 1_000)
SIZE = 1_000


def main() -> None:
    """A line for each function and peer: seconds to compile, how they grow, and microseconds a call."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.terms", description=__doc__)
    parser.add_argument("--function", action="append", choices=FUNCTIONS, help="again for several; all if not given")
    parser.add_argument("--terms", type=int, action="append", help=f"again for several; {TERMS} if not given")
    parser.add_argument("--rounds", type=int, default=3, help="of which the shortest times count")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", nargs=3, metavar=("PEER", "FUNCTION", "TERMS"), help="in this process")
    asked = parser.parse_args()
    if asked.one:
        peer, name, terms = asked.one
        print(json.dumps(PEERS[peer](name, int(terms))))
        return
    kept: dict[str, Any] = {}
    for name in asked.function or FUNCTIONS:
        for peer in PEERS:
            if peer == "jax" and importlib.util.find_spec("jax") is None:
                continue
            rows = [measured(peer, name, terms, asked.rounds, asked.threads) for terms in asked.terms or TERMS]
            seconds = [row["compile_s"] for row in rows]
            growth = [b / a for a, b in pairwise(seconds)]
            calls_us = [row["call_us"] for row in rows]
            compiled = " ".join(f"{s:7.3f}" for s in seconds)
            grown, calls = (" ".join(f"{n:{form}}" for n in ns) for ns, form in ((growth, ".2f"), (calls_us, ".0f")))
            print(f"{name:<8} {peer:<9} compiled in {compiled} s   growth {grown}   µs a call {calls}", flush=True)
            kept.setdefault(name, {})[peer] = rows
    keep(asked.json, "terms", kept)


def measured(peer: str, name: str, terms: int, rounds: int, threads: int) -> dict[str, float]:
    """The shortest of several rounds."""
    found = []
    for number in range(rounds):
        notice(f"{peer}, {terms} terms of {name}, round {number + 1} of {rounds}")
        environment = {**pin(threads), "LAZYGRAD_CACHE": "off"}
        found.append(fresh("benchmarks.terms", "--one", peer, name, terms, environment=environment))
    notice("")
    return {"terms": terms, **{key: min(row[key] for row in found) for key in found[0]}}


def total(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """The sum."""
    y = f(x * 0.5)
    for k in range(1, terms):
        y = y + f(x * (0.37 * k + 1.1))
    return y


def timed(first: Callable[[], Any], call: Callable[[], Any]) -> dict[str, float]:
    """Seconds of the first call, and microseconds of a later one."""
    start = time.perf_counter()
    first()
    compiled = time.perf_counter() - start
    calls = []
    for _ in range(30):
        start = time.perf_counter()
        call()
        calls.append(time.perf_counter() - start)
    return {"compile_s": round(compiled, 4), "call_us": round(statistics.median(calls) * 1e6, 1)}


def ours(name: str, terms: int) -> dict[str, float]:
    """Traced, planned and compiled; LLVM itself is started before."""
    import numpy as np

    import lazygrad as lg

    os.environ["LAZYGRAD_NATIVE"] = "wait"
    env = lg.VariableEnvironment(seed=0)
    env.compile(lambda ctx, x: x + 1)(np.ones(3, np.float32))
    step = env.compile(lambda ctx, x: total(getattr(lg, name), x, terms))
    x = np.linspace(1, 3, SIZE, dtype=np.float32)
    return timed(lambda: step(x), lambda: step(x))


def jax(name: str, terms: int) -> dict[str, float]:
    """The same with ``jax.jit``."""
    import jax
    import jax.numpy as jnp
    from jax.scipy import special

    f = getattr(jnp, name, None) or getattr(special, name)
    jax.jit(lambda x: x + 1)(jnp.ones(3, jnp.float32)).block_until_ready()
    step = jax.jit(lambda x: total(f, x, terms))
    x = jnp.linspace(1, 3, SIZE, dtype=jnp.float32)
    return timed(lambda: step(x).block_until_ready(), lambda: step(x).block_until_ready())


PEERS: dict[str, Callable[[str, int], dict[str, float]]] = {"lazygrad": ours, "jax": jax}


if __name__ == "__main__":
    main()
