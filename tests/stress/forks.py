"""Forks at random moments of compiling and running, by every way to begin a process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.stress._processes import begun, finished

_BY_HAND = """
def child(depth):
    values.append(fast(x)[0])
    if depth:
        again(depth - 1)
    if rng.random() < 0.7:
        fast.wait()
        assert fast.is_native
    values.append(fast(x)[0])
    right(values, env)
def again(depth):
    time.sleep(rng.exponential(0.05))
    before = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            child(depth)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert time.perf_counter() - before < 2
    pids.append(pid)
for _ in range(4):
    again(int(rng.integers(0, 3)))
    values.append(fast(x)[0])
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
"""

_POOL = """
import multiprocessing
with multiprocessing.get_context(WAY).Pool(2) as pool:
    found = pool.map(work, range(4))
assert found == [work(seed) for seed in range(4)]
"""

_LOKY = """
import joblib
found = joblib.Parallel(n_jobs=2, backend=WAY)(joblib.delayed(work)(seed) for seed in range(4))
assert found == [work(seed) for seed in range(4)]
"""

_WORK = '''"""What processes that are begun anew must be able to import."""
import numpy as np

def work(seed):
    import lazygrad as lg
    env = lg.VariableEnvironment(seed=seed)
    env.name("w").set(np.ones((3, 1), "float32"))
    sgd = lg.optim.SGD(env, 0.1)
    x = np.random.default_rng(seed).normal(size=(8, 3)).astype("float32")
    def train(ctx, x):
        loss = lg.mean(lg.square(lg.tanh(x @ ctx.variable("w"))))
        return loss, sgd.minimize(loss)
    fast = env.compile(train, wait=True)
    return [float(fast(x)[0]) for _ in range(3)], fast.is_native
'''


def trial(rng: np.random.Generator, folder: Path) -> str:
    """One program that forks while a step is compiled."""
    way = str(rng.choice(["os.fork", "os.fork", "os.fork", "fork", "forkserver", "spawn", "loky", "threading"]))
    (folder / "stress_work.py").write_text(_WORK)
    body = _BY_HAND if way == "os.fork" else _LOKY if way in ("loky", "threading") else _POOL.replace("WAY", repr(way))
    text = f"""
rng = np.random.default_rng({int(rng.integers(2**31))})
sys.path.insert(0, {str(folder)!r})
from stress_work import work
WAY = {way!r}
if __name__ == "__main__":
    env = environment()
    fast = env.compile(step)
    values, pids = [], []
    for _ in range(int(rng.integers(1, 4))):
        values.append(fast(x)[0])
    time.sleep(rng.exponential(0.1))
{chr(10).join("    " + line for line in body.splitlines())}
    values.append(fast(x)[0])
    right(values, env)
    print("well")
"""
    place = str(rng.choice(["process", "process", "thread"]))
    process = begun(text, int(rng.integers(1, 25)), LAZYGRAD_COMPILER=place, PYTHONPATH=str(folder))
    assert finished(process) == "well\n"
    return f"{way}, compiled in a {place}"
