"""Memory, threads and open files after thousands of calls of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.stress._processes import begun, finished

_GROWTH = """
import gc, resource, warnings
warnings.simplefilter("ignore")
rng = np.random.default_rng(SEED)
env = environment()
fast = env.compile(step)
def called(k): fast(x)
def run(k): env.run(step, x)
def written(k): env.run(lambda ctx: lg.sum(ctx.variable("w") * (k % 9)))
def failed(k):
    def wrong(ctx):
        env.name("new").set([1.0])
        return ctx.variable("w") + np.ones(7)
    try:
        env.run(wrong)
    except lg.errors.SpecError:
        return
    raise AssertionError
def interrupted(k):
    def hook(array):
        raise KeyboardInterrupt
    try:
        env.run(lambda ctx: ctx.assign("w", lg.hook(ctx.variable("w") + 1, hook)))
    except KeyboardInterrupt:
        return
    raise AssertionError
def signatures(k): bound.bound(k=k % 1000)(x)
bound = env.compile(lambda ctx, x, k=1: lg.sum(x) * k)
def cancelled(k):
    other = env.compile(lambda ctx, x: lg.sum(lg.tanh(x + k)))
    other(x)
    other.cancel()
def saved(k):
    env.save(PATH)
    env.restore(PATH)
acts = [(called, 2000), (run, 200), (written, 200), (failed, 100), (interrupted, 100), (signatures, 30)]
acts += [(cancelled, 20), (saved, 20)]
sizes, files, threads = [], [], []
for k in range(ROUNDS):
    for act, times in acts:
        for t in range(times):
            act(k * times + t)
    gc.collect()
    sizes.append(int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6)
    files.append(len(os.listdir("/proc/self/fd")))
    threads.append(threading.active_count())
assert max(files[2:]) <= max(files[:2]) + 1, files
assert max(threads[2:]) <= max(threads[:2]), threads
assert sizes[-1] - sizes[len(sizes) // 2] < 12, sizes
print("well")
"""


def trial(rng: np.random.Generator, folder: Path) -> str:
    """A process that does everything again and again."""
    if not Path("/proc/self/statm").exists():
        return "not measured: the system has no /proc"
    text = _GROWTH.replace("SEED", str(int(rng.integers(2**31)))).replace("ROUNDS", "8")
    assert finished(begun(text.replace("PATH", repr(str(folder / "variables.json"))), 1)) == "well\n"
    return "flat"
