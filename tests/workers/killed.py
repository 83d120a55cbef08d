"""Workers killed while they train: the others end, no file is damaged, and another number of workers goes on.

python -m tests.workers.killed --times 100
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import lazygrad as lg

sys.path.insert(0, str(Path(__file__).parent))
from launched import command, environment

__all__ = ["Killed", "trial"]

TRAINING = """
import os, sys
import numpy as np
import lazygrad as lg

final, checkpoint = sys.argv[1:]
rng = np.random.default_rng(0)
x = rng.normal(size=(90, 4))
y = np.tanh(x @ rng.normal(size=(4, 1)))
env = lg.VariableEnvironment(seed=5, dtype="float64", workers="mpi")
print(f"worker {os.getpid()}\\n", end="", flush=True)
first, norm, out = lg.nn.Linear(env, 4, 8, use_bias=False), lg.nn.BatchNorm(env, 8), lg.nn.Linear(env, 8, 1)
adam = lg.optim.Adam(env, 0.01)

@env.compile
def step(ctx, x, y, train):
    hidden = lg.nn.dropout(lg.nn.relu(norm(first(x), train)), 0.2, train)
    loss = lg.mean(lg.square(out(hidden) - y))
    return (loss, adam.minimize(loss), ctx.updates()) if train else loss

lg.fit(step, (x, y), epochs=30, batch_size=16, validation=(x[:20], y[:20]), checkpoint=checkpoint,
       callbacks=[lg.BestWeights(), lg.EarlyStopping(patience=50)])
env.save(final)
"""

ALIKE = 1e-10  # relative to the largest number of a variable: sums of other numbers of workers are rounded otherwise
MOST = 30.0  # seconds within which the others must have ended


class Killed(NamedTuple):
    """What became of one training."""

    was_running: bool  # whether the worker was killed before the end
    seconds: float  # until all others had ended
    epochs: int  # that were in the checkpoint


def trial(rng: np.random.Generator, folder: Path, whole: Path, longest: float) -> Killed:
    """Kill one of two or three workers at a random time, look at the files, and go on with another number of them."""
    workers = int(rng.integers(2, 4))
    begun = _begin(folder, workers, "final.json")
    processes = [int(begun.stdout.readline().split()[1]) for _ in range(workers)]  # type: ignore[union-attr]
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(begun.communicate()), daemon=True)
    reader.start()
    reader.join(float(rng.uniform(0, longest)))
    was_running = begun.poll() is None
    at = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(processes[int(rng.integers(workers))], signal.SIGKILL)
    reader.join(MOST)
    assert not reader.is_alive(), f"the others have not ended within {MOST:.0f} s"
    while any(map(_lives, processes)):
        assert time.monotonic() - at < MOST, "a worker lives on"
        time.sleep(0.01)
    seconds = time.monotonic() - at
    if was_running and begun.returncode:
        assert "Killed (signal 9)" in "".join(said) or "WorkerError" in "".join(said), said
    epochs = _looked_at(folder)
    ended = _begin(folder, int(rng.choice([k for k in (1, 2, 3) if k != workers])), "final.json")
    out, told = ended.communicate(timeout=120)
    assert ended.returncode == 0, (out, told)
    alike(whole, folder / "final.json")
    return Killed(was_running and begun.returncode != 0, seconds, epochs)


def alike(one: Path, other: Path) -> None:
    """Assert that two files have the same variables, to rounding."""
    mine, theirs = (lg.VariableEnvironment.load(path) for path in (one, other))
    assert [v.path for v in mine] == [v.path for v in theirs]
    for v in mine:
        scale = max(float(np.abs(mine[v.path]).max()), 1e-3)
        np.testing.assert_allclose(theirs[v.path], mine[v.path], rtol=0, atol=ALIKE * scale, err_msg=v.path)


def uninterrupted(folder: Path) -> tuple[Path, float]:
    """What a training that nobody kills ends with, by one worker; and the seconds that two take."""
    for workers, final in ((1, "whole.json"), (2, "two.json"), (2, "again.json")):
        began = time.monotonic()
        ended = _begin(folder, workers, final, checkpoint=f"checkpoint-of-{final}")
        out, said = ended.communicate(timeout=120)
        assert ended.returncode == 0, (out, said)
        seconds = time.monotonic() - began
    alike(folder / "whole.json", folder / "two.json")
    return folder / "whole.json", seconds


def _begin(folder: Path, workers: int, final: str, checkpoint: str = "c.json") -> subprocess.Popen[str]:
    words = "-c", TRAINING, str(folder / final), str(folder / checkpoint)
    return subprocess.Popen(
        command(workers, *words),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _looked_at(folder: Path) -> int:
    """Load every file that is there: each is whole. The number of epochs in the newest checkpoint."""
    for path in folder.glob("*.json*"):
        if not path.name.startswith("."):
            env = lg.VariableEnvironment.load(path)
            assert all(np.isfinite(env[v.path]).all() for v in env)
    if not (folder / "c.json").exists():
        return 0
    from lazygrad.files import serialize

    document = serialize.read(folder / "c.json")
    return next(len(r.array) for r in document.training or () if r.path == "seconds")


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill as often as was asked; the number of trials in which a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.workers.killed", description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="how often (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the times and the workers (default 0)")
    asked = parser.parse_args(arguments)
    found, broken = [], 0
    with tempfile.TemporaryDirectory(prefix="lazygrad-kills-") as place:
        os.environ.setdefault("LAZYGRAD_CACHE", str(Path(place) / "cache"))
        whole, seconds = uninterrupted(Path(place))
        for number in range(asked.times):
            folder = Path(place) / str(number)
            folder.mkdir()
            try:
                found.append(trial(np.random.default_rng([asked.seed, number]), folder, whole, seconds))
            except AssertionError as reason:
                broken += 1
                print(f"trial {number}: {reason}", flush=True)
    killed = [k for k in found if k.was_running]
    print(f"{asked.times} times, {len(killed)} of them killed before the end; {broken} promises were broken.")
    if killed:
        times = sorted(k.seconds for k in killed)
        print(f"The others had ended after {times[len(times) // 2]:.2f} s (median), {times[-1]:.2f} s (longest).")
        print(f"Epochs in the checkpoint, of 30: {min(k.epochs for k in killed)} to {max(k.epochs for k in killed)}.")
    return min(broken, 100)


if __name__ == "__main__":
    sys.exit(main())
