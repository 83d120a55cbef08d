"""Linear algebra of many small matrices beside its peers: ``python -m benchmarks.small``.

Batches of matrices of a few rows are solved, inverted and factored, alone and with gradients, in float64. Results are
compared first; then the frameworks take turns in one process, some calls each, so that what else the machine does meets
all of them, and the threads of one are asleep when another is measured. A time is the least of all calls. Peers that
are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg

OPS = ("inv", "solve", "cholesky", "eigh", "product")
TURNS = 5
Call = Callable[[], Any]


def main() -> int:
    """A line a measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small", description=__doc__)
    parser.add_argument("--op", action="append", choices=OPS, help="again for several; all if not given")
    parser.add_argument("--rows", action="append", type=int, help="of a matrix; 3 and 6 if not given")
    parser.add_argument("--batch", type=int, default=10_000, help="matrices")
    parser.add_argument("--seconds", type=float, default=2.0, help="a measurement takes, all frameworks together")
    asked = parser.parse_args()
    peers = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]
    print(f"{asked.batch:,} matrices, float64, milliseconds, least of all turns; {os.cpu_count()} cores")
    print(f"{'':<28}{'lazygrad':>10}{''.join(f'{name:>10}' for name in ['numpy', *peers])}   to the best peer, to JAX")
    for op in asked.op or OPS:
        for n in asked.rows or (3, 6):
            for slopes in (False, True):
                report(op, n, slopes, asked.batch, peers, asked.seconds)
    return 0


def report(op: str, n: int, slopes: bool, batch: int, peers: list[str], seconds: float) -> None:
    """Compare, measure and print one line."""
    arrays = data(op, n, batch)
    calls: dict[str, Call] = {"lazygrad": ours(op, arrays, slopes)}
    if not slopes:
        calls["numpy"] = lambda: NUMPY[op](*arrays)
    for name in peers:
        calls[name] = MAKERS[name](op, arrays, slopes)
    agree(op, {name: call() for name, call in calls.items()})
    times = {name: float("inf") for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            until = time.perf_counter() + seconds / TURNS / len(calls)
            while (start := time.perf_counter()) < until:
                call()
                times[name] = min(times[name], time.perf_counter() - start)
    own = times.pop("lazygrad")
    listed = "".join(f"{1e3 * times[name]:>10.3f}" if name in times else f"{'':>10}" for name in ["numpy", *peers])
    ratios = f"{own / min(times.values()):>12.3f}" if times else ""
    ratios += f"{own / times['jax']:>10.3f}" if "jax" in times else ""
    what = f"{op}, {n} rows{', gradient' if slopes else ''}"
    print(f"{what:<28}{1e3 * own:>10.3f}{listed}   {ratios}", flush=True)


def data(op: str, n: int, batch: int) -> list[Any]:
    """Matrices that are well conditioned; definite ones where these are wanted."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((batch, n, n))
    if op in ("cholesky", "eigh"):
        return [a @ a.transpose(0, 2, 1) + np.eye(n)]
    a += n * np.eye(n)
    return {"inv": [a], "solve": [a, rng.standard_normal((batch, n, 1))], "product": [a, a[::-1].copy()]}[op]


def agree(op: str, found: dict[str, Any]) -> None:
    """Check that all computed the same, to rounding; eigenvectors, whose signs are a choice, by their squares."""
    flat = {name: [np.asarray(x) for x in (result if isinstance(result, (tuple, list)) else (result,))]
            for name, result in found.items()}  # fmt: skip
    for results in flat.values():
        for x, expected in zip(results, flat["lazygrad"], strict=True):
            x, expected = (np.square(x), np.square(expected)) if op == "eigh" else (x, expected)
            np.testing.assert_allclose(x, expected, rtol=1e-6, atol=1e-8 * float(np.abs(expected).max()))


NUMPY: dict[str, Callable[..., Any]] = {
    "inv": np.linalg.inv,
    "solve": np.linalg.solve,
    "cholesky": np.linalg.cholesky,
    "eigh": np.linalg.eigh,
    "product": np.matmul,
}


def loss(results: Any, total: Callable[[Any], Any]) -> Any:
    """A number of which gradients are taken, the same from every framework: the sum of fourth powers."""
    results = results if isinstance(results, tuple) else (results,)
    return sum(total(y * y * y * y) for y in results)


def ours(op: str, arrays: list[Any], slopes: bool) -> Call:
    """A compiled step."""
    functions: dict[str, Callable[..., Any]] = {
        "inv": lg.linalg.inv,
        "solve": lg.linalg.solve,
        "cholesky": lg.linalg.cholesky,
        "eigh": lambda a: tuple(lg.linalg.eigh(a)),
        "product": lg.matmul,
    }

    def step(ctx: Any, *xs: Any) -> Any:
        y = functions[op](*xs)
        return lg.grad(loss(y, lg.sum), list(xs)) if slopes else y

    fast = lg.VariableEnvironment(seed=0).compile(step, wait=True)
    fast(*arrays)
    return lambda: fast(*arrays)


def of_jax(op: str, arrays: list[Any], slopes: bool) -> Call:
    """A jitted function."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    functions: dict[str, Callable[..., Any]] = {
        "inv": jnp.linalg.inv,
        "solve": jnp.linalg.solve,
        "cholesky": jnp.linalg.cholesky,
        "eigh": lambda a: tuple(jnp.linalg.eigh(a)),
        "product": jnp.matmul,
    }
    f = functions[op]
    if slopes:
        f = jax.grad(lambda *xs: loss(functions[op](*xs), jnp.sum), argnums=tuple(range(len(arrays))))
    jitted, xs = jax.jit(f), [jnp.asarray(a) for a in arrays]
    return lambda: jax.block_until_ready(jitted(*xs))


def of_torch(op: str, arrays: list[Any], slopes: bool) -> Call:
    """PyTorch, operation by operation: these are calls of libraries, of which a compiler makes nothing else."""
    import torch

    functions: dict[str, Callable[..., Any]] = {
        "inv": torch.linalg.inv,
        "solve": torch.linalg.solve,
        "cholesky": torch.linalg.cholesky,
        "eigh": lambda a: tuple(torch.linalg.eigh(a)),
        "product": torch.matmul,
    }
    xs = [torch.from_numpy(a).requires_grad_(slopes) for a in arrays]

    def call() -> Any:
        y = functions[op](*xs)
        return torch.autograd.grad(loss(y, torch.sum), xs) if slopes else y

    return call


MAKERS: dict[str, Callable[[str, list[Any], bool], Call]] = {"jax": of_jax, "torch": of_torch}


if __name__ == "__main__":
    raise SystemExit(main())
