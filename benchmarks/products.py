"""Matrix products: register tiles beside BLAS, and beside the machine's peak. ``python -m benchmarks.products``.

Both are native kernels called in the same way, so that ratios count arithmetic alone. The peak is that of
independent multiply-adds in registers, measured in the same run.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import blas
from lazygrad.engine.cpu import llvm
from lazygrad.engine.emit.products import Needs, Product, write
from lazygrad.engine.lanes.registers import F32
from lazygrad.engine.lanes.writer import Writer

Write = Callable[[Product, Writer], Needs]

# m, n, k, and how A and B lie: N by rows, T transposed.
SHAPES: dict[str, list[tuple[Any, ...]]] = {
    "linreg": [(64, 1, 1, "NN"), (1, 1, 64, "TN")],
    "king": [(128, 35, 35, "NN"), (128, 35, 35, "NT"), (35, 35, 128, "TN"), (34, 35, 128, "TN"), (128, 1, 35, "NN")],
    "sine": [(64, 64, 64, "NN"), (64, 64, 64, "NT"), (64, 64, 64, "TN")],
    "chain": [(32, 32, 32, "NN"), (32, 32, 32, "NT"), (32, 32, 32, "TN")],
    "lstm": [(64, 256, 92, "NN"), (64, 92, 256, "NT"), (92, 256, 64, "TN")],
    "mnist": [(128, 128, 784, "NN"), (784, 128, 128, "TN"), (128, 10, 128, "NN"), (128, 10, 128, "TN")],
    "wide": [(256, 1024, 1024, "NN"), (256, 1024, 1024, "NT"), (1024, 1024, 256, "TN")],
    "square": [(n, n, n, "NN") for n in (128, 256, 512, 1024)],
    "process": [(500, 500, 500, "NN", "f8"), (500, 500, 500, "NT", "f8")],
}


class Kernel:
    """A compiled function of chunks, bound to its arrays."""

    def __init__(self, text: str, plan: Needs, *arrays: np.ndarray) -> None:
        text += '\nattributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }\n!0 = !{}\n'
        begun = time.perf_counter()
        code = llvm.compiled(text)
        self.compile_ms = 1e3 * (time.perf_counter() - begun)
        self.code = llvm.load(code, ["kernel"], blas.addresses())
        self.call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
            self.code.addresses["kernel"]
        )
        self.plan = plan
        room = np.zeros(plan.scratch + 64, np.uint8)
        self.arrays = (*arrays, room[-room.ctypes.data % 64 :])
        self.arguments = np.array([array.ctypes.data for array in self.arrays])

    def run(self, begin: int, end: int, times: int) -> None:
        """Compute some chunks, again and again."""
        address = self.arguments.ctypes.data
        for _ in range(times):
            self.call(address, begin, end)

    def seconds(self, threads: int, seconds: float = 0.2) -> float:
        """The least time of one run over all chunks, shared out evenly."""
        bounds = [self.plan.chunks * i // threads for i in range(threads + 1)]
        shares = [(begin, end) for begin, end in itertools.pairwise(bounds) if begin < end]
        times, best, until = 1, float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < until:
            others = [threading.Thread(target=self.run, args=(*share, times)) for share in shares[1:]]
            begun = time.perf_counter()
            for other in others:
                other.start()
            self.run(*shares[0], times)
            for other in others:
                other.join()
            spent = time.perf_counter() - begun
            best = min(best, spent / times)
            # Starting threads takes long: let each measurement outlast it by far.
            times = max(times, int(0.005 * len(shares) ** 3 / best))
        return best


class Result(NamedTuple):
    """Seconds of one product."""

    inline: float
    blas: float
    compile_ms: float


def kernel(written: Write, product: Product, *arrays: np.ndarray) -> Kernel:
    """A product, compiled and bound."""
    w = Writer(llvm.machine().width)
    plan = written(product, w)
    return Kernel("\n".join([w.function("kernel"), *w.definitions.values()]), plan, *arrays)


def measured(m: int, n: int, k: int, form: str, dtype: str, threads: int) -> Result:
    """Both ways, which must agree."""
    random = np.random.default_rng(0)
    left, right = (m, k) if form[0] == "N" else (k, m), (k, n) if form[1] == "N" else (n, k)
    a, b = (random.standard_normal(shape).astype(dtype) for shape in (left, right))
    c, d = np.zeros((m, n), dtype), np.zeros((m, n), dtype)
    along_a, along_b = ((), k, 1) if form[0] == "N" else ((), 1, m), ((), n, 1) if form[1] == "N" else ((), 1, k)
    product = Product((), m, n, k, np.dtype(dtype), along_a, along_b, ((), n, 1))
    inline, library = kernel(write, product, a, b, c), kernel(blas.write_blas, product, a, b, d)
    # BLAS shares out its own work: its kernel is called by one thread.
    blas.set_blas_threads(threads)
    found = Result(inline.seconds(threads), library.seconds(1), inline.compile_ms)
    np.testing.assert_allclose(c, d, rtol=0, atol=k * np.finfo(dtype).eps * float(np.abs(d).max()))
    return found


def peak() -> float:
    """Multiply-adds of float32 that one core can do, in floating-point operations a second."""
    w = Writer(llvm.machine().width)
    x = w.widened(w.load(w.argument(0), 0, F32))
    kind = w.type(F32, True)
    with w.carrying(0, 100_000, 1, [(kind, "zeroinitializer")] * 10) as (_, sums):
        for i, name in enumerate(sums):
            sums[i] = w.here(f"call {kind} @llvm.fma.v{w.width}f32({kind} {x.name}, {kind} {x.name}, {kind} {name})",
                             F32, True).name  # fmt: skip
    for i, name in enumerate(sums):
        w.line(f"store {kind} {name}, ptr {w.at(w.argument(0), (i + 1) * w.width, F32).name}, align 4")
    text = f"{w.function('kernel')}\ndeclare {kind} @llvm.fma.v{w.width}f32({kind}, {kind}, {kind})\n"
    return 10 * w.width * 2e5 / Kernel(text, Needs(1, 0), np.zeros(16 * w.width, np.float32)).seconds(1)


def main() -> None:
    """Every product, one line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SHAPES)}; all if none")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    if not blas.addresses():
        parser.error("SciPy carries no BLAS that can be called")
    top = peak()
    print(f"peak {top / 1e9:.0f} GFLOP/s a core in float32; {asked.threads} threads")
    for name in asked.names or SHAPES:
        for m, n, k, form, *rest in SHAPES[name]:
            dtype = rest[0] if rest else "f4"
            found = measured(m, n, k, form, dtype, asked.threads)
            operations = 2 * m * n * k
            limit = operations / top / asked.threads * np.dtype(dtype).itemsize / 4
            print(
                f"{name:8} {m:4} × {k:4} × {n:4} {form} {dtype}  inline {1e6 * found.inline:9.2f} µs"
                f" {operations / found.inline / 1e9:6.1f} GFLOP/s {100 * limit / found.inline:3.0f} % of the peak,"
                f"  blas {1e6 * found.blas:9.2f} µs,  ratio {found.inline / found.blas:.2f},"
                f"  compiled in {found.compile_ms:.0f} ms"
            )


if __name__ == "__main__":
    main()
