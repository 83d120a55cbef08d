"""Errors and speed of the mathematical functions: ``python -m benchmarks.accuracy`` writes ``docs/accuracy.md``.

Float32 is held against NumPy's and SciPy's float64, float64 against mpmath; see :mod:`benchmarks.references`. Then the
functions of the language and their derivatives are held against mpmath; see :mod:`benchmarks.truths`.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import references
from benchmarks.loops import Loop, Loops, loops
from benchmarks.truths import TRUTHS, Measure, Truth, sampled
from benchmarks.truths import measured as compared
from lazygrad.engine.cpu.llvm import machine
from lazygrad.engine.lanes.functions import FUNCTIONS, OPERANDS
from lazygrad.engine.lanes.registers import F32, F64

PAGE = Path(__file__).parent.parent / "docs/accuracy.md"
Array = np.ndarray[Any, Any]

CHUNK = 1_000_000
LIMIT = {F32: 2.0, F64: 4.0}
# Functions of one sign or of a small interval are timed there; all others between -2 and 2.
TIMED = {"arccosh": (1.0, 5.0), "power": (0.1, 5.0)}
TIMED |= dict.fromkeys(("log", "log2", "log10", "log1p", "gammaln", "digamma"), (0.1, 5.0))
TIMED |= dict.fromkeys(("arcsin", "arccos", "arctanh", "erfinv"), (-0.99, 0.99))


class Measured(NamedTuple):
    """One row of the table."""

    name: str
    dtype: np.dtype[Any]
    samples: int
    greatest: float
    where: tuple[float, ...]
    mean: float
    numpy_greatest: float
    time: float  # ns an element
    numpy_time: float


def samples(name: str, dtype: np.dtype[Any], count: int) -> Iterator[list[Array]]:
    """The arguments, in pieces: random bits and dense intervals for float32, both mixed for float64."""
    operands = OPERANDS[name]
    if dtype == F64:
        yield references.dense(name, F64, count, operands)
        return
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        yield [references.random_bits(F32, size, seed=start + operand) for operand in range(operands)]
    yield references.dense(name, F32, min(count, 2 * CHUNK), operands)


def measured(name: str, dtype: np.dtype[Any], count: int, compiled: Loops) -> Measured:
    """Errors and times of one function."""
    theirs = references.reference(name)
    greatest, where, total, numpy_greatest, finite, seen = 0.0, (0.0,) * OPERANDS[name], 0.0, 0.0, 0, 0
    for xs in samples(name, dtype, count):
        with np.errstate(all="ignore"):
            wanted = references.exact(name, *xs) if dtype == F64 else theirs(*[x.astype(F64) for x in xs])
            numpy = theirs(*xs)
        off = references.errors(name, compiled(name, *xs), wanted, *xs)
        worst = int(off.argmax())
        if off[worst] > greatest:
            greatest, where = float(off[worst]), tuple(float(x[worst]) for x in xs)
        numpy_greatest = max(numpy_greatest, float(references.errors(name, numpy, wanted, *xs).max()))
        # The mean is of where there is an error to speak of: results that are numbers, and not exact zeros.
        counts = np.isfinite(off) & (off > 0)
        total, finite, seen = total + float(off[counts].sum()), finite + int(counts.sum()), seen + off.size
    ours, numpys = times(name, dtype, compiled)
    return Measured(name, dtype, seen, greatest, where, total / max(finite, 1), numpy_greatest, ours, numpys)


def times(name: str, dtype: np.dtype[Any], compiled: Loops, count: int = 1 << 15) -> tuple[float, float]:
    """Nanoseconds an element of the compiled loop and of NumPy, in cache, the best of some rounds taken in turn."""
    random = np.random.default_rng(0)
    low, high = TIMED.get(name, (-2.0, 2.0))
    xs = [random.uniform(low, high, count).astype(dtype) for _ in range(OPERANDS[name])]
    out, theirs = np.empty_like(xs[0]), references.reference(name)
    ours = compiled.prepared(name, *xs, out=out)
    wanted = {"out": out} if isinstance(theirs, np.ufunc) else {}
    rounds = [(_seconds(ours), _seconds(lambda: theirs(*xs, **wanted))) for _ in range(15)]
    return min(first for first, _ in rounds) / count * 1e9, min(second for _, second in rounds) / count * 1e9


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _ulp(error: float) -> str:
    return f"{error:.2f}" if error < 100 else "> 100" if np.isfinite(error) else "∞"


def page(rows: list[Measured]) -> str:
    """The page, in Markdown."""
    lines = [
        "<!-- python -m benchmarks.accuracy wrote this page: measure again to change it. -->",
        "# Accuracy of compiled functions",
        "",
        "A compiled step computes the functions below by polynomials of its own, in `lazygrad/engine/lanes/functions/`."
        " Nothing is called from the platform's libraries and no product and sum is fused unless the formula says so: "
        "results are the same bits on every machine that has fused multiply-add.",
        "",
        "Errors are in units in the last place (ulp) of the exact result, gradual underflow included. "
        f"The bounds kept are {LIMIT[F32]:g} ulp for float32 and {LIMIT[F64]:g} ulp for float64, over all arguments: "
        "denormal numbers, huge angles, infinities and NaN. An ∞ in the table is a result that is a number where "
        "infinity or NaN is right, or the other way round.",
        "",
        f"- **float32**: {min(r.samples for r in rows if r.dtype == F32):,} samples a function: random bits, so that "
        "all bit patterns are alike, then dense ones where the function does what it is for and where its formula "
        "changes; held against NumPy's and SciPy's float64.",
        f"- **float64**: {max(r.samples for r in rows if r.dtype == F64):,} samples a function: a third of random "
        "bits, two thirds dense, angles near multiples of π/2 among them; held against mpmath with 160 bits.",
        "- `logaddexp`, and `gammaln` and `digamma` of negative numbers, are differences of two terms where they have "
        "zeros. Their errors, and NumPy's, are counted in ulp of the terms where these are greater: of the greater "
        "operand, of log Γ(1 + |x|), and of 1 + log(1 + |x|).",
        "- The mean is of results that are not exact. NumPy's column is `numpy` or `scipy.special` of the same dtype "
        "on the same samples. Times are of arrays in cache, one thread, the best of fifteen rounds in turn.",
        "",
        f"Measured on {platform.system()} {platform.machine()}, `{machine().cpu}`, {machine().width} lanes; "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in ("numpy", "scipy", "mpmath", "llvmlite"))
        + ".",
        "",
        "| function | dtype | max ulp | at | mean ulp | NumPy's max ulp | ns an element | NumPy's | ÷ NumPy |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        where = ", ".join(f"{x:.9g}" if r.dtype == F32 else repr(x) for x in r.where)
        lines.append(
            f"| `{r.name}` | {r.dtype} | {_ulp(r.greatest)} | {where} | {r.mean:.2f} | {_ulp(r.numpy_greatest)} | "
            f"{r.time:.2f} | {r.numpy_time:.2f} | {r.time / r.numpy_time:.2f} |"
        )
    above = [f"`{r.name}` {r.dtype}" for r in rows if not r.greatest <= LIMIT[r.dtype]]
    lines += ["", f"Beyond the bound: {', '.join(above)}." if above else "None is beyond the bound.", ""]
    return "\n".join(lines)


BEGIN = "## Values and derivatives"
WAYS = [(dtype, way) for dtype in ("float32", "float64") for way in ("run", "compile")]


def language(count: int) -> str:
    """The second part of the page: functions of the language, and their derivatives."""
    lines = [
        BEGIN,
        "",
        "The functions of the language and their derivatives, by `env.run` (NumPy and SciPy) and compiled: the "
        f"greatest error in ulp of the exact value, held against mpmath with sixty digits. {2 * count:,} samples and "
        "more an operand: half of random bits, half dense, and the ends of the range; denormal arguments and results "
        "included. A prime marks a derivative, f″ the second one, and of two operands ∂₁ and ∂₂.",
        "",
        "- Where a result has zeros in the middle of its range (`silu′`, `gelu′`, `mish′`, `sinc′`, `logaddexp`, "
        "`logsumexp`, `softmax′`, `betaln`, `gammaln` near 1 and 2) it is a difference of two terms there; errors are "
        "counted in ulp of the greater one.",
        "- The derivatives of `logsumexp`, and `softmax`, are exponentials of x − max x, which has been rounded: their "
        "relative error is about half of |x − max x| ulp.",
        "- A product or quotient on the way that is denormal has lost digits. So have the derivatives of `divide`, "
        "`atan2` and `power` where aᵇ, or the quotient of the operands, is denormal and they are not; and results of "
        "`silu`, `gelu` and `mish`, which are not counted below 2¹⁰ times the least normal number (2¹⁴ for gelu by "
        "tanh).",
        "- `erfc`, `gelu` and `log_ndtr` by `env.run` have the errors of SciPy's `erfc` and `erfcx`.",
        "",
        "| function | | " + " | ".join(f"{dtype}, {way}" for dtype, way in WAYS) + " | the worst is at |",
        "|---|---|" + "---:|" * len(WAYS) + "---|",
    ]
    beyond = []
    for truth in TRUTHS:
        found = [compared(truth, way, dtype, sampled(truth, dtype, count)) for dtype, way in WAYS]
        for what, row in zip(_parts(truth), zip(*found, strict=True), strict=True):
            measures = [m for m in row if m is not None]
            if measures:
                lines.append(_line(truth, what, measures))
                print(lines[-1], flush=True)
                if max(m.greatest for m in measures) > 4:
                    beyond.append(f"`{truth.name.removesuffix('′')}`{what}")
    lines += ["", f"Beyond 4 ulp: {', '.join(beyond)}." if beyond else "None is beyond 4 ulp.", ""]
    return "\n".join(lines)


def _parts(truth: Truth) -> list[str]:
    """What the measures of a row are of: the value and its derivatives."""
    if len(truth.spans) == 2:
        return ["", *(["∂₁", "∂₂"][: len(truth.exact) - 1])]
    return ["", "″" if truth.name.endswith("′") else "′"]


def _line(truth: Truth, what: str, measures: list[Measure]) -> str:
    worst = max(measures)
    where = ", ".join(f"{x:.6g}" for x in worst.where)
    errors = " | ".join(_ulp(m.greatest) for m in measures)
    return f"| `{truth.name.removesuffix('′')}` | {what} | {errors} | {where} |"


def main() -> None:
    """Measure all, or some, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="functions; without any, all, and the page is written")
    parser.add_argument("--float32", type=int, default=10_000_000, help="random samples of float32 a function")
    parser.add_argument("--float64", type=int, default=30_000, help="samples of float64 a function")
    parser.add_argument("--language", type=int, default=600, help="samples of values and derivatives, half of them")
    parser.add_argument("--only-language", action="store_true", help="leave the first part of the page as it is")
    asked = parser.parse_args()
    if asked.only_language:
        first = PAGE.read_text(encoding="utf-8").split(BEGIN)[0].rstrip()
        PAGE.write_text(f"{first}\n\n{language(asked.language)}", encoding="utf-8")
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    names = asked.names or list(FUNCTIONS)
    compiled = loops([Loop(name, dtype, wide=True) for name in names for dtype in (F32, F64)])
    rows = []
    for name in names:
        for dtype, count in ((F32, asked.float32), (F64, asked.float64)):
            rows.append(measured(name, dtype, count, compiled))
            print(rows[-1], flush=True)
    if not asked.names:
        PAGE.write_text(f"{page(rows).rstrip()}\n\n{language(asked.language)}", encoding="utf-8")


if __name__ == "__main__":
    main()
