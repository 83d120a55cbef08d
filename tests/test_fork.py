"""Forks, at any moment of compiling and running, and the other ways to begin a process."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from typing import Any

import pytest
from codegen.native_steps import script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
pytest.importorskip("llvmlite", reason="llvmlite is not installed")

# A step whose kernels take a while, and what it gives.
STEP = """
import os, sys, time, threading
import numpy as np, lazygrad as lg
x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
def environment():
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    return env
def step(ctx, x):
    w = ctx.variable("w")
    y = x * w
    for k in range(LAYERS):
        y = lg.cumulative_sum(lg.tanh(y * (1 + k / 1024)), axis=0)
    return lg.sum(y), ctx.assign("w", w + 0.5)
def expected(calls):
    env = environment()
    return [env.run(step, x)[0] for _ in range(calls)], env["w"].tolist()
def waited(pid):
    status = os.waitpid(pid, 0)[1]
    assert status == 0, status
"""


def forked(layers: int, text: str, **variables: str) -> str:
    """What a program prints that begins with a compiled step."""
    return script(STEP.replace("LAYERS", str(layers)) + text, LAZYGRAD_CACHE="off", **variables)


CHILD = """
from lazygrad.engine.cpu import making  # as forks wait for imports, which are slow where no bytecode is kept
env = environment()
fast = env.compile(step)
values = [fast(x)[0], fast(x)[0]]
assert not fast.is_native
before = time.perf_counter()
pid = os.fork()
if pid == 0:
    values.append(fast(x)[0])
    fast.wait()
    assert fast.is_native, fast.plan
    values.append(fast(x)[0])
    np.testing.assert_allclose(values, expected(4)[0], rtol=1e-5)
    assert env["w"].tolist() == [3.0, 4.0, 5.0]
    sys.stdout.flush()
    os._exit(0)
assert time.perf_counter() - before < 1.0  # far less than the compilation
waited(pid)
values += [fast(x)[0], fast(x)[0]]
np.testing.assert_allclose(values, expected(4)[0], rtol=1e-5)
fast.wait()
assert fast.is_native
print("well")
"""


@pytest.mark.parametrize("place", ["process", "thread"])
def test_a_fork_while_a_step_is_compiled_leaves_both_sides_able_to_compile_it(place: str) -> None:
    """What the parent has begun is not begun in the child, which does it when it is asked for."""
    assert "well\n" == forked(12, CHILD, LAZYGRAD_COMPILER=place)


def test_a_child_that_forks_again_compiles_too() -> None:
    """However deep."""
    text = """
fast = environment().compile(step)
fast(x), fast(x)
depth = 0
while depth < 3:
    pid = os.fork()
    if pid:
        waited(pid)
        break
    depth += 1
    fast(x)
fast.wait()
assert fast.is_native
fast(x)
if depth:
    os._exit(0)
print("well")
"""
    assert "well\n" == forked(4, text)


def test_a_fork_in_the_middle_of_a_step_of_another_thread_leaves_the_child_an_environment_it_can_use() -> None:
    """The lock of the environment is that thread's, which the child does not have; nothing of its step is seen."""
    text = """
env = environment()
inside, go_on = threading.Event(), threading.Event()
def hook(array):
    inside.set()
    go_on.wait()
def slow(ctx):
    w = ctx.variable("w")
    return ctx.assign("w", lg.hook(w + 1, hook))
thread = threading.Thread(target=lambda: env.run(slow))
thread.start()
inside.wait()
pid = os.fork()
if pid == 0:
    assert env["w"].tolist() == [1.0, 2.0, 3.0]
    env.run(step, x)
    assert env["w"].tolist() == [1.5, 2.5, 3.5]
    os._exit(0)
waited(pid)
go_on.set()
thread.join()
assert env["w"].tolist() == [2.0, 3.0, 4.0]
print("well")
"""
    assert "well\n" == forked(1, text)


def test_a_fork_in_a_hook_leaves_both_sides_in_the_step() -> None:
    """The child is in the same step as its parent, and ends it on its own."""
    text = """
env = environment()
pids = []
def hook(array):
    pids.append(os.fork())
env.run(lambda ctx: ctx.assign("w", lg.hook(ctx.variable("w") + 1, hook)))
assert env["w"].tolist() == [2.0, 3.0, 4.0]
env.run(step, x)
if pids == [0]:
    os._exit(0)
waited(pids[0])
print("well")
"""
    assert "well\n" == forked(1, text)


def test_a_native_step_goes_on_in_the_child_with_workers_of_its_own() -> None:
    """Which it hires when it runs the step."""
    text = """
from lazygrad.engine.cpu import driver
big = np.ones((1000, 1000), "float32")
fast = lg.VariableEnvironment().compile(lambda ctx, x: lg.sum(lg.tanh(x)), wait=True)
value = fast(big)
assert fast(big) == fast(big) == value
assert len(driver._hired) == 2
pid = os.fork()
if pid == 0:
    assert len(driver._hired) == 0
    assert fast(big) == fast(big) == value
    assert len(driver._hired) == 2
    os._exit(0)
waited(pid)
print("well")
"""
    assert "well\n" == forked(1, text, LAZYGRAD_THREADS="3")


def test_who_waits_for_all_children_does_not_wait_for_the_compiler() -> None:
    """The process that LLVM works in is not among them."""
    text = """
fast = environment().compile(step)
fast(x), fast(x)
fast.wait()
assert fast.is_native
try:
    os.wait()
except ChildProcessError:
    print("well")
"""
    assert "well\n" == forked(1, text)


def job(seed: int) -> Any:
    """Train a little, in whatever process this is."""
    import numpy as np

    import lazygrad as lg

    env = lg.VariableEnvironment(seed=seed)
    env.name("w").set(np.ones((3, 1), "float32"))
    sgd = lg.optim.SGD(env, 0.1)
    x = np.random.default_rng(seed).normal(size=(8, 3)).astype("float32")

    @env.compile
    def fast(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(lg.tanh(x @ ctx.variable("w"))))
        return loss, sgd.minimize(loss)

    for _ in range(3):
        fast(x)
    fast.wait()
    for _ in range(3):
        fast(x)
    return fast.is_native, env["w"].tolist()


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # this process has threads of xdist
@pytest.mark.usefixtures("native")
def test_processes_of_a_pool_compile_whatever_they_were_begun_by(method: str) -> None:
    """After a step has been compiled in the parent, and while one is."""
    here = [job(seed) for seed in (0, 1)]
    environment_is_busy = job(2)
    with multiprocessing.get_context(method).Pool(2) as pool:
        there = pool.map(job, [0, 1])
    assert environment_is_busy[0]
    for (native, found), (_, expected) in zip(there, here, strict=True):
        assert native
        assert pickle.dumps(found) == pickle.dumps(expected)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_runs_them_too(backend: str) -> None:
    """In processes, or in threads with an environment each."""
    joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn")
    here = [job(seed) for seed in (0, 1)]
    folder = os.path.dirname(__file__)
    paths = os.pathsep.join([folder, os.path.dirname(folder), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        there = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(job)(seed) for seed in (0, 1))
    if backend == "loky":
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    assert [w for _, w in here] == [w for _, w in there]


def test_the_thread_beside_imports_nothing_but_while_forks_wait() -> None:
    """A fork would leave the lock of a module that is being imported locked for ever."""
    text = """
import builtins
from lazygrad.engine import forks
plain, found, guarded = builtins.__import__, [], []
def noticed(name, globals=None, locals=None, fromlist=(), level=0):
    before = len(sys.modules)
    module = plain(name, globals, locals, fromlist, level)
    if threading.current_thread().name == "lazygrad compiler" and len(sys.modules) != before:
        (guarded if forks._imports._is_owned() else found).append(name)
    return module
builtins.__import__ = noticed
env = environment()
def wide(ctx, x):
    a = ctx.random.normal((3, 3)) @ lg.eye(3)
    return lg.sum(lg.erf(x)) + lg.linalg.det(a) + lg.sum(lg.nn.gelu(x @ a)), step(ctx, x)
fast = env.compile(wide)
fast(x), fast(x)
fast.wait()
assert fast.is_native
fast(x)
print(found)
"""
    assert "[]\n" == forked(3, text)


def test_a_fork_waits_for_what_the_thread_beside_imports() -> None:
    """Both sides import the rest then, and compile."""
    text = """
import importlib.abc
begun, slow = threading.Event(), []
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "lazygrad.engine.table.lower":
            begun.set()
            time.sleep(0.3)
            slow.append(name)
sys.meta_path.insert(0, Slow())
fast = environment().compile(step)
fast(x)
begun.wait()
pid = os.fork()
assert slow
fast.wait()
assert fast.is_native
if pid == 0:
    os._exit(0)
waited(pid)
print("well")
"""
    assert "well\n" == forked(1, text)


def test_a_fork_that_waits_for_imports_waits_for_llvm_too() -> None:
    """LLVM's lock is that of a module which is imported only while the fork waits; the thread goes on at once."""
    text = """
import importlib.abc
import llvmlite.binding
begun, plain, lasts = threading.Event(), llvmlite.binding.initialize_native_target, []
def slow():
    time.sleep(0.3)
    plain()
llvmlite.binding.initialize_native_target = slow
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "lazygrad.engine.cpu.cache_folder":
            begun.set()
            time.sleep(0.3)
sys.meta_path.insert(0, Slow())
fast = environment().compile(step)
fast(x)
begun.wait()
pid = os.fork()
if pid == 0:
    import signal
    signal.alarm(20)  # in place of waiting for ever
fast.wait()
assert fast.is_native
if pid == 0:
    os._exit(0)
waited(pid)
print("well")
"""
    assert "well\n" == forked(1, text)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on processes counts threads on Linux")
def test_without_a_thread_to_be_had_a_step_runs_and_commits_once() -> None:
    """It is not compiled; asked to wait for native code, it is compiled by who waits."""
    text = """
def full(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = full
env = environment()
fast = env.compile(step)
values = [fast(x)[0] for _ in range(3)]
np.testing.assert_array_equal(values, expected(3)[0])
assert env["w"].tolist() == [2.5, 3.5, 4.5]
assert not fast.is_native
fast.wait()
assert fast.is_native
fast(x)
assert env["w"].tolist() == [3.0, 4.0, 5.0]
print("well")
"""
    assert "well\n" == forked(1, text)
