"""Many threads: on environments of their own, on one that they share, and on arrays that others change."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.stress._processes import begun, finished

_STORM = """
rng = np.random.default_rng(SEED)
shared = environment()
fast = shared.compile(step)
array = x.copy()
failures, counts = [], []
stop = threading.Event()
def own(number):
    try:
        env = environment()
        call = env.compile(step) if number % 2 else (lambda x, env=env: env.run(step, x))
        values = [float(call(x)[0]) for _ in range(40)]
        right(values, env)
    except BaseException as reason:
        failures.append(reason)
def together(number):
    try:
        made = 0
        for k in range(60):
            if k % 7 == number % 7:
                shared.run(step, x)
            else:
                fast(x)
            made += 1
            shared["w"], list(shared), len(shared)
        counts.append(made)
    except BaseException as reason:
        failures.append(reason)
def racing():
    env = environment()
    call = env.compile(lambda ctx, x: lg.sum(x * x))
    while not stop.is_set():
        value = float(call(array))
        if not 0 <= value <= 4 * array.size:
            failures.append(value)
def changing():
    while not stop.is_set():
        array[...] = rng.choice([-2.0, 0.0, 1.0, 2.0])
threads = [threading.Thread(target=f, args=(n,)) for n in range(THREADS) for f in (own, together)]
others = [threading.Thread(target=f) for f in (racing, changing)]
for thread in threads + others:
    thread.start()
for thread in threads:
    thread.join()
stop.set()
for thread in others:
    thread.join()
assert not failures, failures
made = sum(counts)
assert shared["w"].tolist() == [1 + made / 2, 2 + made / 2, 3 + made / 2], (made, shared["w"])
print("well")
"""


def trial(rng: np.random.Generator, folder: Path) -> str:
    """A storm of threads."""
    count = int(rng.integers(2, 6))
    text = _STORM.replace("SEED", str(int(rng.integers(2**31)))).replace("THREADS", str(count))
    assert finished(begun(text, 2, LAZYGRAD_THREADS=str(int(rng.integers(1, 5))))) == "well\n"
    return f"{2 * count + 2} threads"
