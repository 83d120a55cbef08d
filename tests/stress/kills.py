"""Processes killed while they save, and while they train: the file is whole, and training ends with the same bits.

The next save leaves nothing beside the file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SAVING = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
import lazygrad as lg

folder, delays = Path(sys.argv[1]), [float(delay) for delay in sys.argv[2].split()]
file = folder / "env.json"
env = lg.VariableEnvironment(seed=0)
names = [f"v{k}" for k in range(30)]
for name in names:
    env.name(name).set(np.zeros(int(sys.argv[3])))
env.save(file)
left = 0
for delay in delays:
    begun = float(env["v0"][0])
    child = os.fork()
    if not child:
        try:
            while True:
                for name in names:
                    env[name] = env[name] + 1
                env.save(file)
        finally:
            os._exit(1)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    loaded = lg.VariableEnvironment.load(file)
    assert 1 == len({float(x) for name in names for x in set(loaded[name].tolist())}), "of two saves"
    assert begun <= loaded["v0"][0]
    left += len(list(folder.iterdir())) - 1
    env.restore(file)
    env.save(file)
    assert [file] == list(folder.iterdir()), list(folder.iterdir())
print(left)
"""

TRAINING = """
import sys
import numpy as np
import lazygrad as lg

final, checkpoint = sys.argv[1:]
rng = np.random.default_rng(0)
x = rng.normal(size=(90, 4)).astype("float32")
y = np.tanh(x @ rng.normal(size=(4, 1))).astype("float32")
env = lg.VariableEnvironment(seed=5)
first, norm, out = lg.nn.Linear(env, 4, 8), lg.nn.BatchNorm(env, 8), lg.nn.Linear(env, 8, 1)
adam = lg.optim.Adam(env, 0.01)

@env.compile
def step(ctx, x, y, train):
    hidden = lg.nn.dropout(lg.nn.relu(norm(first(x), train)), 0.2, train)
    loss = lg.mean(lg.square(out(hidden) - y))
    return (loss, adam.minimize(loss), ctx.updates()) if train else loss

print("ready", flush=True)
lg.fit(step, (x, y), epochs=60, batch_size=16, validation=(x[:20], y[:20]), checkpoint=checkpoint,
       callbacks=[lg.BestWeights(), lg.EarlyStopping(patience=50)])
env.save(final)
"""

_whole: list[bytes] = []  # what a training that nobody kills ends with


def saving(rng: np.random.Generator, folder: Path) -> str:
    """Ten saves of one file are cut short."""
    delays = " ".join(f"{delay:.4f}" for delay in rng.uniform(0, 0.08, 10))
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # Python warns of forks beside threads
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        SAVING,
        str(folder),
        delays,
        str(int(rng.integers(1, 3000))),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=alone)
    assert (0, "") == (done.returncode, done.stderr), done.stderr
    return "10 saves killed" + (", and what was left deleted" if int(done.stdout) else "")


def training(rng: np.random.Generator, folder: Path) -> str:
    """A training is killed three times, and then ends."""

    def process(final: str, checkpoint: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TRAINING, str(folder / final), str(folder / checkpoint)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    if not _whole:
        _, said = process("whole.json", "alone.json").communicate()
        assert not said, said
        _whole.append((folder / "whole.json").read_bytes())
        for file in folder.iterdir():
            file.unlink()
    killed = 0
    for delay in rng.uniform(0, 1.5, 3):
        running = process("final.json", "c.json")
        assert running.stdout is not None
        running.stdout.readline()
        try:
            running.wait(delay)
        except subprocess.TimeoutExpired:
            running.kill()
            killed += 1
        running.communicate()
    _, said = process("final.json", "c.json").communicate()
    assert not said, said
    assert _whole[0] == (folder / "final.json").read_bytes()
    assert {"c.json", "c.json.1", "c.json.2", "final.json"} == set(os.listdir(folder))
    return f"training killed {killed} times"


def trial(rng: np.random.Generator, folder: Path) -> str:
    """One or the other."""
    return saving(rng, folder) if rng.random() < 0.5 else training(rng, folder)
