"""Environments, compiled steps and estimators in other processes: forked, spawned, and those of joblib's loky."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A program whose compiled steps are at the top of it: of an object that holds a network, and of a function that is
# decorated, so that its name is that of the compiled step; both also bound.
STEPS = """
import sys
import numpy as np
import lazygrad as lg

class Training:
    def __init__(self, env):
        self.layer = lg.nn.Linear(env, 3, 2, name="layer")
        self.adam = lg.optim.Adam(env, learning_rate=0.1)

    def __call__(self, ctx, x, scale=1.0):
        loss = lg.mean(lg.square(self.layer(x) * scale + 0.1 * ctx.random.normal((4, 2))))
        return loss, self.adam.minimize(loss)

env = lg.VariableEnvironment(seed=3)
train = env.compile(Training(env))
doubled = train.bound(scale=2.0)

@env.compile
def predict(ctx, x, shift=0.0):
    return x @ ctx.variable("layer/weight") + ctx.variable("layer/bias") + shift

shifted = predict.bound(shift=1.0)
x = np.ones((4, 3), "float32")
sent = env, train, doubled, predict, shifted
"""

# What a process does with what it is sent, and what must come of it: that of this process.
WORK = """
def plain(env):
    return {path: array.tolist() for path, array in env.to_dict().items()}

def work(sent):
    own, train, doubled, predict, shifted = sent
    assert {own} == {step._env for step in sent[1:]}
    losses = [float(step(x)[0]) for step in (train, train, doubled)]
    return losses, predict(x).tolist(), shifted(x).tolist(), plain(own)

def check(results, before):
    assert before == plain(env)  # what was done elsewhere stayed there
    expected = work(sent)
    for result in results:
        for ours, theirs in zip(expected[:3], result[:3]):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)  # of two tiers
        assert expected[3].keys() == result[3].keys()
        for path, array in expected[3].items():
            np.testing.assert_allclose(array, result[3][path], rtol=1e-4, atol=1e-5)
    print("alike")

if __name__ == "__main__":
    train(x), predict(x)  # compiled, or in the middle of it
    before = plain(env)
"""

POOL = """
    import multiprocessing
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        results = pool.map(work, [sent, sent], chunksize=1)
    check(results, before)
"""

LOKY = """
    from joblib import Parallel, delayed
    layer = train._step.layer
    local = env.compile(lambda ctx, x: layer(x) + 1)  # which pickle alone could not name
    found = Parallel(n_jobs=2)([delayed(lambda step: step(x).tolist())(local)])[0]
    np.testing.assert_allclose(predict(x) + 1, found, rtol=1e-5)
    check(Parallel(n_jobs=2)(delayed(work)(sent) for _ in range(2)), before)
"""

ESTIMATORS = """
import sys
import numpy as np
from lazygrad.sklearn import Classifier, Regressor, Transformer

def work(sent):
    return [fitted.predict(x).tolist() for fitted in sent[:2]] + [sent[2].transform(x).tolist()]

def trained(estimator):
    return estimator.fit(x, y).predict(x).tolist()

rng = np.random.default_rng(0)
x, y = rng.normal(size=(24, 3)), np.arange(24) % 2

if __name__ == "__main__":
    settings = {"epochs": 2, "random_state": 0}
    fitted = [Classifier(**settings).fit(x, y), Regressor(**settings).fit(x, y), Transformer(**settings).fit(x, y)]
    new = Classifier(**settings)
    if sys.argv[1] == "loky":
        from joblib import Parallel, delayed
        results = Parallel(n_jobs=2)(delayed(work)(fitted) for _ in range(2))
        other = Parallel(n_jobs=2)([delayed(trained)(new)])[0]
    else:
        import multiprocessing
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            results, other = pool.map(work, [fitted, fitted], chunksize=1), pool.apply(trained, (new,))
    assert [work(fitted)] * 2 == results
    assert trained(new) == other
    print("alike")
"""

# A program whose steps find the network, the optimizer, a variable and one another in global names.
GLOBAL = """
import functools, sys
import numpy as np
import lazygrad as lg

env = lg.VariableEnvironment(seed=3)
layer = lg.nn.Sequential(lg.nn.Linear(env, 3, 4, name="in"), lg.nn.BatchNorm(env, 4, name="norm"))
scale = env.name("scale").set(np.ones(4, "float32"))
adam = lg.optim.average(lg.optim.Adam(env, learning_rate=0.1), 0.9)

def loss_of(x):
    return lg.mean(lg.square(layer(x, train=True) * scale - 1))

@functools.partial(env.compile, wait=True)
def train(ctx, x):
    loss = loss_of(x)
    slope = lg.grad(loss, scale)
    return loss, slope, adam.minimize(loss, [*layer.variables, scale]), ctx.updates()

x = np.arange(12, dtype="float32").reshape(4, 3)

def work(step):
    return [(float(step(x)[0]), step(x)[1].tolist()) for _ in range(3)], sorted(step._env.to_dict())

if __name__ == "__main__":
    import multiprocessing
    train(x), train(x)
    before = {path: array.tobytes() for path, array in env.to_dict().items()}
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        result = pool.apply(work, (train,))
    assert before == {path: array.tobytes() for path, array in env.to_dict().items()}
    assert work(train) == result
    print("alike")
"""


def printed(text: str, way: str, folder: Path) -> str:
    """What a program prints, which must end well."""
    if way == "fork" and not hasattr(os, "fork"):
        pytest.skip("the system does not fork")
    program = folder / "program.py"
    program.write_text(text)
    command = [sys.executable, "-W", "error::RuntimeWarning", str(program), way]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=variables, check=False)
    assert 0 == done.returncode, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("way", ["fork", "spawn", "loky"])
def test_environments_layers_and_compiled_steps_go_to_other_processes(way: str, tmp_path: Path) -> None:
    """Together, and decorated ones too; they draw, train and predict there as they would have here."""
    if way == "loky":
        pytest.importorskip("joblib", reason="joblib comes with scikit-learn")
    assert "alike\n" == printed(STEPS + WORK + (LOKY if way == "loky" else POOL), way, tmp_path)


@pytest.mark.parametrize("way", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_a_step_that_finds_its_network_in_global_names_goes_to_other_processes(way: str, tmp_path: Path) -> None:
    """What lies there stands for what the step was sent with: its weights, its optimizer, its variables."""
    assert "alike\n" == printed(GLOBAL, way, tmp_path)


@pytest.mark.parametrize("way", ["fork", "spawn", pytest.param("loky", marks=pytest.mark.slow)])
def test_estimators_go_to_other_processes(way: str, tmp_path: Path) -> None:
    """Trained ones predict the same there, and new ones are trained to the same."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    assert "alike\n" == printed(ESTIMATORS, way, tmp_path)
