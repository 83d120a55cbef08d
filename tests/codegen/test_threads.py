"""What a step computes does not depend on how many threads share its kernels."""

from __future__ import annotations

import ctypes
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from native_steps import case, random_floats, script

import lazygrad as lg
from benchmarks import threads
from lazygrad.engine.cpu import binding
from lazygrad.engine.emit.products import turn

ROOT = Path(__file__).parent.parent.parent
KERNEL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


class Cuts:
    """Runs tables as threads may: the chunks of a row that is shared in batches of any size, in any order."""

    def __init__(self, seed: int | None) -> None:
        self.random = np.random.default_rng(seed) if seed is not None else None
        self.batches = 0

    def caller(self, table: Any, *kept: Any) -> Callable[[], int]:
        """In place of :func:`lazygrad.engine.cpu.driver.caller`."""

        def run(_: Any = kept) -> int:
            for address, arguments, chunks, flags in table.tolist():
                for begin, end in self.cut(chunks) if flags & 1 else [(0, chunks)]:
                    if KERNEL(address)(arguments, begin, end):
                        return 1
            return 0

        return run

    def cut(self, chunks: int) -> list[tuple[int, int]]:
        """All chunks in one batch, or at random."""
        if self.random is None:
            return [(0, chunks)]
        inner = self.random.permutation(np.arange(1, chunks))[: self.random.integers(1, chunks)]
        edges = [0, *sorted(inner.tolist()), chunks]
        batches = list(itertools.pairwise(edges))
        self.batches += len(batches)
        return [batches[k] for k in self.random.permutation(len(batches))]


def results(compute: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, seed: int | None) -> tuple[Any, int]:
    """What ``compute`` gives when rows are cut so, and into how many batches in all."""
    cuts = Cuts(seed)
    monkeypatch.setattr(binding.driver, "caller", cuts.caller)
    return compute(), cuts.batches


@pytest.mark.parametrize("name", [name for name in threads.LAYERS if name not in ("Linear", "GRU")])
def test_a_layer_gives_the_same_bits_however_its_work_is_shared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results, slopes and steps of Adam."""
    whole, _ = results(lambda: threads.digest(name)["digest"], monkeypatch, None)
    shared, batches = results(lambda: threads.digest(name)["digest"], monkeypatch, 1)
    assert batches > 1
    assert whole == shared


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(300, 200, 400), (1, 3000, 1000), (2000, 40, 130), (257, 64, 1100), (64, 1000, 9)])
@pytest.mark.parametrize("form", ["NN", "NT", "TN", "TT"])
def test_a_product_gives_the_same_bits_however_its_work_is_shared(
    form: str, sizes: tuple[int, int, int], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose operand is copied first."""
    m, n, k = sizes
    monkeypatch.setattr(turn, "FAR", 0)
    a, b = random_floats((m, k), dtype), random_floats((k, n), dtype, seed=1)
    x, y = (np.ascontiguousarray(z.T) if letter == "T" else z for z, letter in zip((a, b), form))

    def step(ctx: Any, x: Any, y: Any) -> Any:
        return lg.matmul(*(lg.matrix_transpose(z) if letter == "T" else z for z, letter in zip((x, y), form)))

    (whole, _), (shared, _) = (results(lambda: case(step, x, y).found[0], monkeypatch, seed) for seed in (None, 1))
    assert whole.tobytes() == shared.tobytes()
    np.testing.assert_allclose(whole, a @ b, rtol=0, atol=k * np.finfo(dtype).eps * 30)


FOREIGN = """
import sys
import numpy as np, lazygrad as lg
from benchmarks import blas
library = blas._library()
if library is not None:
    library[0](2)
before = None if library is None else library[1]()
x = np.ones((1100, 2000), "float32")
fast = lg.VariableEnvironment().compile(lambda ctx, x: lg.matrix_transpose(x) @ x, wait=True)
assert fast(x)[0, 0] == 1100 and fast.is_native
print(before == (None if library is None else library[1]()))
"""


def test_the_threads_of_a_program_s_own_blas_stay_as_they_were() -> None:
    """Products call no BLAS, so none is told how many threads it may use."""
    assert "True\n" == script(FOREIGN, LAZYGRAD_THREADS="1", PYTHONPATH=str(ROOT))
