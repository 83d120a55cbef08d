"""Kernels of benchmarks, examples and random programs assemble, and nearly nothing is laid aside in memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codegen.native_steps import plan_of, random_floats
from gpu.emulated import emulated

import lazygrad as lg
from lazygrad.engine.cuda import threads
from lazygrad.engine.cuda.llvm import assembler
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.table.lower import lowered

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import assembling
from benchmarks.corpus import plans

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

SHARE = 8  # of all kernels every eighth is tried on the other architectures too


def kernels_of(step: Any, *arguments: Any) -> assembling.Kernels:
    """The kernels of a step."""
    kernels = assembling.Kernels()
    kernels.add(lowered(plan_of(step, *arguments), GPU), "a test")
    return kernels


def needs(architecture: str) -> None:
    """Skip where there is no assembler for it."""
    tool = assembler()
    if tool is None:
        pytest.skip("there is no ptxas: the wheel nvidia-cuda-nvcc-cu12 brings it")
    if architecture not in tool.architectures:
        pytest.skip(f"{tool.program} does not write for {architecture} any more")


@pytest.fixture(scope="module")
def corpus() -> assembling.Kernels:
    """The kernels of every program of the benchmarks, and of some random ones of each family."""
    kernels = assembling.Kernels()
    for name, plan in plans(("",), 2):
        kernels.add(lowered(plan, GPU), name)
    return kernels


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of programs that are not looked at here
@pytest.mark.parametrize("architecture", assembling.ARCHITECTURES)
def test_no_kernel_lays_aside_more_than_64_registers_hold(corpus: assembling.Kernels, architecture: str) -> None:
    """All of them for one architecture, a share of them for the others; ``benchmarks.assembling`` takes more."""
    needs(architecture)
    assert len(corpus) > 300
    chosen = assembling.Kernels()
    for number, name in enumerate(corpus.bodies):
        if architecture == "sm_80" or number % SHARE == 0:
            chosen.put(name, corpus.bodies[name], corpus.beside[name], corpus.seen[name])
    found = assembling.usages(chosen, architecture)
    seen = corpus.seen
    assert {} == {seen[name]: use for name, use in found.items() if assembling.is_too_much(use, seen[name])}


def test_addresses_of_many_arrays_are_not_kept_in_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the first few are read again where they are needed, and the numbers are the same."""
    arrays = [random_floats((70,)) for _ in range(6 * threads.HELD)]

    def step(ctx: Any, *arrays: Any) -> Any:
        return lg.add_n(list(arrays))

    this = emulated(step, *arrays)
    assert this.host[0].tobytes() == this.found[0].tobytes()
    needs("sm_80")
    kernels = kernels_of(step, *arrays)
    monkeypatch.setattr(threads, "HELD", 1_000)
    held = kernels_of(step, *arrays)
    (few,), (many,) = (assembling.usages(each, "sm_80").values() for each in (kernels, held))
    assert few.spilled <= assembling.SPILLED < many.spilled


def test_kernels_are_kept_in_a_folder_and_read_again(tmp_path: Path) -> None:
    """With what they call, and nothing else."""
    kernels = kernels_of(lambda ctx, x: (lg.sin(x), lg.sum(x)), np.ones((40, 50), "f4"))
    kernels.write(tmp_path, list(kernels.bodies))
    kernels.write(tmp_path, list(kernels.bodies))  # another process, which has seen the same
    again = assembling.Kernels()
    again.read(tmp_path)
    assert (kernels.bodies, kernels.beside, kernels.seen) == (again.bodies, again.beside, again.seen)
    assert [file for file in tmp_path.iterdir() if file.suffix not in (".kernel", ".definition")] == []


def test_a_module_holds_kernels_that_agree_about_what_they_call() -> None:
    """Two that mean different functions by one name are in two modules."""
    kernels = assembling.Kernels()
    for name, text in (("one", "f of the first"), ("two", "f of the second"), ("three", "f of the second")):
        kernels.put(name, "calls @f", {"@f": text, "@g": "not called"}, "")
    assert [["one"], ["two", "three"]] == [list(functions) for functions, _ in kernels.modules()]
    assert [{"@f": "f of the first"}, {"@f": "f of the second"}] == [beside for _, beside in kernels.modules()]
