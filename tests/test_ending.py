"""The end of a process, an interrupt and a cancellation, while a long compilation goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.engine.cpu import compiler, llvm_process

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

# A step that takes minutes to compile: 4,000 small ops, no two of which are alike.
LONG = """
import os, sys, time, threading
import numpy as np, lazygrad as lg
x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
env = lg.VariableEnvironment(seed=0)
env.name("w").set(np.ones(3, "float32"))
def long(ctx, x):
    y = x * ctx.variable("w")
    for k in range(700):
        y = lg.cumulative_sum(lg.sin(y * (1 + k / 1024)) + lg.erf(y + k) * lg.exp(y - k), axis=k % 2)
    return lg.sum(y), ctx.assign("w", ctx.variable("w") + 1)
fast = env.compile(long)
"""
QUICK = 0.5  # seconds within which everything ends
SLACK = 0.7  # what a busy machine may need beside


def compiling(text: str, **variables: str) -> Any:
    """A process that has begun to compile, and said so."""
    kept = {k: v for k, v in os.environ.items() if k not in ("LAZYGRAD_NATIVE", "LAZYGRAD_CHECK")}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-u", "-c", LONG + text],
        env={**kept, "LAZYGRAD_CACHE": "off", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert "compiling\n" == process.stdout.readline(), process.communicate()
    return process


def ended(process: Any) -> tuple[int, str, float]:
    """Its status, what it wrote to stderr, and how long it took from now."""
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    return process.returncode, said, time.monotonic() - began


ENDS = {
    "by itself": ("", 0, ""),
    "with a status": ("sys.exit(3)", 3, ""),
    "with an error": ("raise SystemExit('so be it')", 1, "so be it\n"),
    "in a thread": ("threading.Thread(target=lambda: time.sleep(0.1)).start()", 0, ""),
    "while another thread waits": ("threading.Thread(target=fast.wait, daemon=True).start()", 0, ""),
}


@pytest.mark.thinned(5)
@pytest.mark.parametrize("after", [0.0, 0.5])
@pytest.mark.parametrize("end", ENDS)
def test_a_process_ends_at_once_and_silently_while_it_compiles(end: str, after: float) -> None:
    """With its own status."""
    text, status, said = ENDS[end]
    spent = []
    for native in ("off", "auto"):  # to take down a program with a large graph takes a while in any case
        whole = f"fast(x), fast(x)\nprint('compiling', flush=True)\ntime.sleep({after})\n{text}"
        process = compiling(whole, LAZYGRAD_NATIVE=native)
        time.sleep(after)
        found = ended(process)
        assert (status, said) == found[:2]
        spent.append(found[2])
    assert spent[1] < spent[0] + QUICK + SLACK


@pytest.mark.slow
def test_a_process_that_compiles_by_itself_ends_after_the_kernels_at_hand() -> None:
    """Where LLVM works in the process, it is left between two modules, and never while it is at work."""
    text = "fast(x), fast(x)\nprint('compiling', flush=True)\ntime.sleep(1)"
    process = compiling(text, LAZYGRAD_COMPILER="thread")
    time.sleep(1)
    status, said, seconds = ended(process)
    assert (0, "") == (status, said)
    assert seconds < 30


@pytest.mark.thinned(3)
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("call", ["fast.wait()", "fast.prepare(x)", "env.compile(long, wait=True)(x)"])
def test_an_interrupt_is_answered_at_once(call: str) -> None:
    """And goes where any other interrupt goes; the process can go on, and the next call works."""
    text = f"""
fast(x), fast(x)
w = env["w"].tolist()
print("compiling", flush=True)
try:
    {call}
except KeyboardInterrupt:
    assert env["w"].tolist() == w
    before = time.monotonic()
    fast(x)
    print(time.monotonic() - before)
"""
    process = compiling(text)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    status, said, seconds = ended(process)
    assert (0, "") == (status, said)
    assert seconds < QUICK + 2 * SLACK + 1  # a run of thousands of ops on NumPy, and the end


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("after", [0.2, 0.4, 0.7])
def test_a_process_that_is_interrupted_while_it_waits_dies_of_the_interrupt(after: float) -> None:
    """With the one traceback of the program; also while the compiler is imported beside it."""
    process = compiling("print('compiling', flush=True)\nfast.prepare(x)")
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    status, said, seconds = ended(process)
    assert -signal.SIGINT == status
    assert said.startswith("Traceback")
    assert 1 == said.count("KeyboardInterrupt")
    assert seconds < QUICK + 2 * SLACK


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("call", ["time.sleep(9)", "fast.wait()"])
def test_a_process_that_is_interrupted_while_it_imports_beside_dies_of_the_interrupt(call: str) -> None:
    """CPython forgets the interrupt, as what is imported runs text; the end of the process lets it remember."""
    text = f"""
import importlib.abc
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "lazygrad.engine.cpu.making":
            print("compiling", flush=True)
            time.sleep(0.5)
sys.meta_path.insert(0, Slow())
fast(x)
{call}
"""
    process = compiling(text)
    process.send_signal(signal.SIGINT)
    status, said, _ = ended(process)
    assert -signal.SIGINT == status
    assert 1 == said.count("KeyboardInterrupt")


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="processes are listed in /proc")
def test_a_killed_process_leaves_no_compiler_behind() -> None:
    """It sees that nobody is there any more, whatever LLVM is doing."""
    mark = f"LAZYGRAD_TEST_MARK_{os.getpid()}_{time.monotonic_ns()}"
    process = compiling("fast(x), fast(x)\nprint('compiling', flush=True)\ntime.sleep(60)", **{mark: "1"})
    until = time.monotonic() + 10
    while not (found := _workers(mark)) and time.monotonic() < until:
        time.sleep(0.05)
    assert 1 == len(found)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    while _workers(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert [] == _workers(mark)


def _workers(mark: str) -> list[str]:
    """The compilers whose surroundings have a variable of this name."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            folder = Path("/proc", name)
            command, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            if b"engine/cpu/worker.py" in command and mark.encode() in variables:
                found.append(name)
    return found


@pytest.mark.usefixtures("native")
def test_cancelling_stops_a_compilation_at_once() -> None:
    """NumPy goes on; progress has said how far it was, and waiting returns."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, x: Any) -> Any:
        for k in range(200):
            x = lg.cumulative_sum(lg.sin(x * (1 + k / 1024)) + lg.erf(x + k), axis=0)
        return x

    fast, x = env.compile(step), np.ones((3, 3))
    value = fast(x)
    fast(x)
    until = time.monotonic() + 60
    while fast.progress.kernels == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert fast.progress.nodes == len(fast.plan.graph.nodes)
    assert 0 <= fast.progress.done <= fast.progress.kernels
    before = time.monotonic()
    fast.cancel()
    fast.wait()
    assert time.monotonic() - before < QUICK
    assert not fast.is_native
    np.testing.assert_array_equal(value, fast(x))
    other = env.compile(lambda ctx, x: lg.sum(x) + 1, wait=True)
    assert 10 == other(x)
    assert other.is_native
    with pytest.raises(lg.TraceError, match="Why: it was cancelled"):
        fast.source("llvm")


@pytest.mark.usefixtures("native")
def test_progress_says_when_all_kernels_are_done() -> None:
    """With nothing left."""
    fast = lg.VariableEnvironment().compile(lambda ctx, x: lg.sum(lg.tanh(x)), wait=True)
    with pytest.raises(lg.TraceError, match="has not been compiled yet"):
        fast.progress  # noqa: B018
    fast(np.ones(3))
    nodes, kernels, done, left = fast.progress
    assert nodes == len(fast.plan.graph.nodes)
    assert kernels == done > 0
    assert 0 == left


@pytest.mark.usefixtures("native")
def test_what_takes_long_says_so_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the log of the package, with the step's name."""
    monkeypatch.setattr("lazygrad.engine.cpu.meter.LONG", 0.0)

    def lengthy(ctx: Any, x: Any) -> Any:
        return lg.sum(lg.tanh(x))

    with caplog.at_level("INFO", "lazygrad"):
        lg.VariableEnvironment().compile(lengthy, wait=True)(np.ones(3))
    said = [record.getMessage() for record in caplog.records if "lengthy" in record.getMessage()]
    assert 1 == len(said)
    assert "lengthy is still being compiled after 0 s: " in said[0]
    assert "step.cancel() stops it" in said[0]


def test_text_that_llvm_refuses_is_an_error_with_its_reason() -> None:
    """Of the process or the thread alike; and it goes on with the next."""
    for _ in range(2):
        with pytest.raises(RuntimeError, match="expected"):
            compiler.compiled("this is no module")
    assert compiler.compiled("define i64 @f() {\n  ret i64 1\n}\n")


def test_a_compiler_that_dies_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked of it is asked once more."""
    if not llvm_process.usable():
        pytest.skip("LLVM works in this process")
    text = "define i64 @f() {\n  ret i64 2\n}\n"
    made = compiler.compiled(text)
    assert llvm_process._worker is not None
    llvm_process._worker.connection.shutdown(2)
    assert made == compiler.compiled(text)


def test_where_no_process_can_be_started_llvm_works_in_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that has Python built in."""
    text = "define i64 @f() {\n  ret i64 3\n}\n"
    made = compiler.compiled(text)
    llvm_process._close()
    monkeypatch.setattr(llvm_process, "_refused", False)
    monkeypatch.setattr(sys, "executable", "/no/such/python3")
    assert made == compiler.compiled(text)
    assert llvm_process._refused


@pytest.mark.parametrize("name", ["", "/usr/sbin/uwsgi", "/opt/app/app"])
def test_a_program_that_is_not_python_is_never_started_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its executable is the program itself."""
    monkeypatch.setattr(sys, "executable", name)
    llvm_process._can_start.cache_clear()
    try:
        assert not llvm_process.usable()
    finally:
        monkeypatch.undo()
        llvm_process._can_start.cache_clear()
