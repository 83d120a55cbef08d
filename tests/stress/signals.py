"""Handlers of signals that call the step in whose middle they come, and interrupts, at random moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.stress._processes import begun, finished

# The handler calls the step again; a refusal is a GraphError.
_AGAIN = """
over = False
come = refused = 0
def handler(*_):
    global come, refused
    if over:
        return
    come += 1
    try:
        values.append(float(call(x)[0]))
    except lg.errors.GraphError:
        refused += 1
    signal.setitimer(signal.ITIMER_REAL, rng.exponential(PERIOD) + 1e-6)  # when this one is done
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, PERIOD)
while come < 1000 and time.monotonic() < until:
    values.append(float(call(x)[0]))
over = True
signal.setitimer(signal.ITIMER_REAL, 0)
"""

# The handler raises, anywhere; each call has then been made wholly, or not at all.
_RAISING = """
class Interrupt(KeyboardInterrupt):
    pass
def handler(*_):
    raise Interrupt
signal.signal(signal.SIGALRM, handler)
come = refused = 0
while come < 300 and time.monotonic() < until:
    done = env._store.state
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.exponential(PERIOD) + 1e-6)
        for _ in range(50):
            values.append(None)
            values[-1] = float(call(x)[0])
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupt:
        come += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    made = round(2 * (float(env["w"][0]) - 1))
    assert made in (len(values), len(values) - 1), (made, len(values))
    assert env["w"].tolist() == [1 + made / 2, 2 + made / 2, 3 + made / 2]
    del values[made:]
    values[:] = [v if v is not None else e for v, e in zip(values, expected_until(made))]
"""


def trial(rng: np.random.Generator, folder: Path) -> str:
    """A program that is sent some hundred signals."""
    kind = str(rng.choice(["re-entry", "interrupt"]))
    native = str(rng.choice(["wait", "auto", "off"]))
    how = str(rng.choice(["compile", "compile", "run"]))
    text = f"""
rng = np.random.default_rng({int(rng.integers(2**31))})
PERIOD = {float(rng.choice([1e-4, 3e-4, 1e-3]))}
env = environment()
fast = env.compile(step)
call = fast if {how!r} == "compile" else lambda x: env.run(step, x)
known = []
reference = environment()
def expected_until(count):
    while len(known) < count:
        known.append(float(reference.run(step, x)[0]))
    return known[:count]
until = time.monotonic() + 10
values = [float(call(x)[0]) for _ in range(4)]
{_AGAIN if kind == "re-entry" else _RAISING}
made = len(values)
np.testing.assert_allclose(sorted(values), sorted(expected_until(made)), rtol=1e-3)
assert env["w"].tolist() == [1 + made / 2, 2 + made / 2, 3 + made / 2]
values.append(float(call(x)[0]))
print(come, refused)
"""
    # What is raised in a finalizer, which an interrupt may be, Python reports and goes on.
    come, _ = map(int, finished(begun(text, 1, LAZYGRAD_NATIVE=native), ignored=kind == "interrupt").split())
    assert come > 0
    return f"{kind}, {how}, native {native}"
