"""What sorting costs in a compiled step, beside NumPy's call of the same: ``python -m benchmarks.sorting``.

Both take turns in one process, with other random numbers in every call, as a processor learns the order of a short row.
A time is the least of all turns. Of ``argsort`` NumPy's is the stable one, which gives the same places.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg
from benchmarks.draws import Call, least

ARRAYS = 64  # that are gone through in turn; fewer of large ones
BYTES = 1 << 25  # of all of them
SORTS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "argsort": (lg.argsort, lambda x: np.argsort(x, kind="stable")),
    "sort": (lg.sort, np.sort),
    "median": (lg.median, np.median),
}
SHAPES = {
    "argsort": [(8,), (64,), (1000,), (1000, 16), (100_000,), (1_000_000,)],
    "sort": [(64,), (1_000_000,)],
    "median": [(64,), (1_000_000,)],
}


def main() -> int:
    """A line a measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sorting", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="a measurement takes, all of its calls together")
    parser.add_argument("--most", type=int, default=1_000_000, help="elements of an array that is sorted")
    asked = parser.parse_args()
    print(f"microseconds, least of all turns; {os.cpu_count()} cores")
    print(f"{'':<36}{'NumPy':>12}{'lazygrad':>12}{'ratio':>8}")
    for name, shapes in SHAPES.items():
        for shape in [shape for shape in shapes if np.prod(shape) <= asked.most]:
            for dtype in ("float32", "float64", "int64"):
                times = least(calls(name, shape, dtype), asked.seconds, time.perf_counter)
                what = f"{name} of {' × '.join(f'{n:,}' for n in shape)} {dtype}"
                ours, numpys = 1e6 * times["lazygrad"], 1e6 * times["numpy"]
                print(f"{what:<36}{numpys:>12.2f}{ours:>12.2f}{ours / numpys:>8.2f}", flush=True)
    return 0


def calls(name: str, shape: tuple[int, ...], dtype: str) -> dict[str, Call]:
    """Both, each with arrays of its own turn; they give the same."""
    ours, numpys = SORTS[name]
    rng, kind = np.random.default_rng(0), np.dtype(dtype)
    count = max(2, min(ARRAYS, BYTES // (int(np.prod(shape)) * kind.itemsize)))
    drawn = [rng.standard_normal(shape) * 1e6 for _ in range(count)]
    arrays = [x.astype(kind) for x in drawn]
    fast = lg.VariableEnvironment(seed=0).compile(lambda ctx, x: ours(x), wait=True)
    np.testing.assert_array_equal(fast(arrays[0]), np.asarray(numpys(arrays[0]), fast(arrays[0]).dtype))
    turn, other = itertools.cycle(arrays), itertools.cycle(arrays)
    return {"lazygrad": lambda: fast(next(turn)), "numpy": lambda: numpys(next(other))}


if __name__ == "__main__":
    raise SystemExit(main())
