"""Copies of environments: whole, and independent of what they were made of."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad.errors import GraphError

WAYS: dict[str, Callable[[Any], Any]] = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "env.copy": lambda env: env.copy(),
    **{f"pickle {k}": lambda env, k=k: pickle.loads(pickle.dumps(env, k)) for k in range(pickle.HIGHEST_PROTOCOL + 1)},
}
TOGETHER = {name: way for name, way in WAYS.items() if name == "copy.deepcopy" or name.startswith("pickle")}
COPIED = "env.copy()"  # the line of a test that a message names


def training(env: lg.VariableEnvironment, network: Any, adam: Any) -> Callable[..., Any]:
    """A step with dropout and draws."""

    def step(ctx: Any, x: Any) -> Any:
        noise = ctx.random.normal((4, 1))
        loss = lg.mean(lg.square(network(lg.nn.dropout(x, 0.5, True)) - noise))
        return loss, adam.minimize(loss)

    return step


def trained(steps: int = 3, **where: Any) -> tuple[lg.VariableEnvironment, Any, Any]:
    """An environment with a network and an optimizer that have made some steps, so that values lie on both sides."""
    env = lg.VariableEnvironment(seed=3, **where)
    network = lg.nn.Sequential(lg.nn.Linear(env, 3, 4), lg.nn.tanh, lg.nn.Linear(env, 4, 1))
    adam = lg.optim.Adam(env, 0.1)
    env.namespace("kept").name("mask").set(np.array([True, False]), trainable=False)
    env.name("wide").set(np.array([np.nan, -0.0]))
    step = training(env, network, adam)
    for _ in range(steps):
        env.run(step, np.ones((4, 3), "float32"))
    return env, network, adam


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_whole(way: str) -> None:
    """Every bit of every variable, flags, order, seed, draws, names of layers and optimizers."""
    env, _, _ = trained()
    made = WAYS[way](env)
    assert snapshot(env) == snapshot(made)
    assert (env.dtype, env.backend, env._store.layers) == (made.dtype, made.backend, made._store.layers)
    assert [v.path for v in env] == [v.path for v in made]
    with pytest.raises(lg.DefinitionError):
        lg.optim.Adam(made, name="adam")


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_independent(way: str) -> None:
    """Neither a run, nor an assignment, nor a registration, in the one or in the other, is seen elsewhere."""
    env, _, _ = trained()
    made = WAYS[way](env)
    before = snapshot(made)
    env["wide"] = [1.0, 2.0]
    env.run(lambda ctx: (ctx.assign("wide", ctx.variable("wide") * 2), ctx.random.normal(2)))
    env.name("new").set(np.ones(1))
    assert before == snapshot(made)
    before = snapshot(env)
    made["wide"] = [3.0, 4.0]
    made.run(lambda ctx: (ctx.assign("wide", ctx.variable("wide") * 2), ctx.random.normal(2)))
    made.name("new").set(np.ones(2))
    assert before == snapshot(env)
    assert all(v._env is made for v in made)


@pytest.mark.parametrize("way", WAYS)
def test_both_draw_the_same_numbers_from_then_on(way: str) -> None:
    """And the draws of one are not the next of the other."""
    env, _, _ = trained()
    made = WAYS[way](env)
    draws = [one.run(lambda ctx: ctx.random.normal(3)).tobytes() for one in (env, made, env, made)]
    assert (draws[0], draws[2]) == (draws[1], draws[3])
    assert draws[0] != draws[2]


@pytest.mark.parametrize("call", ["run", "compile"])
@pytest.mark.parametrize("way", TOGETHER)
def test_what_is_copied_along_belongs_to_the_copy(way: str, call: str) -> None:
    """Layers and optimizers: training goes on in the copy, with the same bits as in the original."""
    things = trained()
    made = TOGETHER[way](things)
    losses = []
    for env, network, adam in (things, made):
        assert adam.env is env
        assert all(v is env._store.find(v.path) for v in network.variables)
        step = training(env, network, adam)
        run = env.compile(step, wait=True) if call == "compile" else lambda x, env=env, step=step: env.run(step, x)
        losses.append([run(np.ones((4, 3), "float32"))[0].tobytes() for _ in range(4)])
    assert losses[0] == losses[1]
    assert snapshot(things[0]) == snapshot(made[0])


@pytest.mark.parametrize("first", [0, 1, 2, 3])
@pytest.mark.parametrize("way", TOGETHER)
def test_the_order_in_which_things_are_copied_does_not_matter(way: str, first: int) -> None:
    """A variable, a layer or an optimizer that comes first brings its environment along."""
    env, network, adam = trained()
    things: list[Any] = [env, network, adam, env._store.find("wide")]
    made = TOGETHER[way]([things[first], *things])
    assert made[0] is made[1 + first]
    assert made[3].env is made[1]
    assert made[4] is made[1]._store.find("wide")
    assert np.array_equal(env["wide"], made[4].value, equal_nan=True)
    assert snapshot(env) == snapshot(made[1])


@pytest.mark.parametrize("way", ["copy.copy", *TOGETHER])
def test_an_op_is_itself_when_it_is_copied(way: str) -> None:
    """So that a network with activations in its attributes can be copied and pickled."""
    assert WAYS[way](lg.tanh) is lg.tanh


class Model(lg.VariableEnvironment):
    """A user's own, with layers as attributes."""

    def __init__(self, size: int) -> None:
        super().__init__(seed=1)
        self.layer = lg.nn.Linear(self, size, 2)
        self.notes = ["a"]


@pytest.mark.parametrize("way", WAYS)
def test_a_subclass_is_copied_with_its_attributes(way: str) -> None:
    """Which refer to the copy, not to the original."""
    model = Model(3)
    made = WAYS[way](model)
    assert (Model, ["a"]) == (type(made), made.notes)
    assert made.notes is not model.notes
    assert made.layer._env is made
    assert list(made.layer.variables) == list(made)


@pytest.mark.parametrize("where", ["writing", "hook", "layer"])
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_in_the_middle_of_a_step_is_refused(way: str, where: str) -> None:
    """Neither while it is written nor from a hook; the environment is as before, and can be copied afterwards."""
    env, _, _ = trained()
    before = snapshot(env)

    def step(ctx: Any) -> Any:
        if where == "writing":
            WAYS[way](env)
        return ctx.variable("wide").hook(lambda _: WAYS[way](env))

    call = (lambda: env._store.whole(lambda: WAYS[way](env))) if where == "layer" else lambda: env.run(step)
    with pytest.raises(GraphError, match="cannot copy an environment in the middle of a step"):
        call()
    assert before == snapshot(env) == snapshot(WAYS[way](env))


def test_the_refusal_is_told_in_full() -> None:
    """What, where, what to do."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any) -> None:
        env.copy()

    with pytest.raises(GraphError) as caught:
        env.run(step)
    assert str(caught.value) == (
        "cannot copy an environment in the middle of a step\n\n"
        f"{at(test_the_refusal_is_told_in_full, COPIED).replace('test_the_refusal_is_told_in_full', 'step')}\n\n"
        "    Copy or pickle it before or after the run."
    )


def test_a_copy_waits_for_a_run_in_another_thread() -> None:
    """It is of before the run or of after it, and not of the middle."""
    env = lg.VariableEnvironment(seed=0)
    for name in "ab":
        env.name(name).set(np.zeros(1000))
    step = env.compile(lambda ctx: [ctx.assign(name, ctx.variable(name) + 1) for name in "ab"])
    done = threading.Event()

    def runs() -> None:
        while not done.is_set():
            step()

    thread = threading.Thread(target=runs)
    thread.start()
    try:
        for _ in range(50):
            made = env.copy()
            assert 1 == len({*made["a"].tolist(), *made["b"].tolist()})
    finally:
        done.set()
        thread.join()


def double(ctx: Any, x: Any) -> Any:
    """A step that can be pickled."""
    return ctx.variable("wide") * x


def read_only(buffer: Any) -> memoryview:
    """A buffer as a process has it that may not write to it."""
    return memoryview(bytes(buffer))


def in_place(buffer: Any) -> memoryview:
    """A buffer that others have too."""
    return memoryview(buffer)


@pytest.mark.parametrize("given", [read_only, in_place])
def test_arrays_that_come_in_buffers_of_others_are_copied(given: Callable[[Any], memoryview]) -> None:
    """As Dask sends them: neither is written to what is read alone, nor to what another one reads."""
    env, network, adam = trained()
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps((env, network, adam), 5, buffer_callback=buffers.append)
    kept = [given(buffer) for buffer in buffers]
    before = [bytes(buffer) for buffer in kept]
    made = pickle.loads(data, buffers=kept)
    for owner, *rest in ((env, network, adam), made):
        step = training(owner, *rest)
        for _ in range(3):
            owner.run(step, np.ones((4, 3), "float32"))
    assert snapshot(env) == snapshot(made[0])
    assert before == [bytes(buffer) for buffer in kept]


def test_large_arrays_that_joblib_maps_from_a_file_are_trained_on(tmp_path: Any) -> None:
    """It does so with what is larger than a megabyte, for its processes; in every mode the file stays as it is."""
    joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn")
    env, _, _ = trained()
    joblib.dump(env, tmp_path / "env")
    before = (tmp_path / "env").read_bytes()
    for mode in (None, "r", "r+", "c"):
        made = joblib.load(tmp_path / "env", mmap_mode=mode)
        for _ in range(3):
            made.run(lambda ctx: ctx.assign("wide", ctx.variable("wide") * 0))
        assert before == (tmp_path / "env").read_bytes()


@pytest.mark.parametrize("way", TOGETHER)
def test_a_compiled_step_is_copied_as_its_step(way: str) -> None:
    """And runs in the copy of the environment that it is copied with."""
    env, _, _ = trained()
    env["wide"] = [1.0, 2.0]
    compiled = env.compile(double, wait=True).bound()
    compiled(2.0)
    made, again = TOGETHER[way]((env, compiled))
    made["wide"] = [10.0, 20.0]
    assert again._env is made
    assert ([2.0, 4.0], [20.0, 40.0]) == (compiled(2.0).tolist(), again(2.0).tolist())


def test_a_copied_environment_is_saved_as_the_same_file(tmp_path: Any) -> None:
    """Byte by byte."""
    env, _, _ = trained()
    env.save(tmp_path / "a.json")
    env.copy().save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_an_environment_is_unpickled_in_another_process() -> None:
    """As a worker of a pool gets it."""
    env, _, _ = trained(backend="numpy")  # another process has no double of CuPy
    program = (
        "import pickle, sys; env = pickle.load(sys.stdin.buffer); "
        "sys.stdout.buffer.write(pickle.dumps((env['wide'].tobytes(), env.run(lambda ctx: ctx.random.normal(3)))))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=pickle.dumps(env), capture_output=True, check=True)
    wide, draws = pickle.loads(done.stdout)
    assert env["wide"].tobytes() == wide
    assert np.array_equal(env.run(lambda ctx: ctx.random.normal(3)), draws)


def test_a_variable_is_a_handle_that_is_not_copied_alone() -> None:
    """A shallow copy is the variable itself."""
    env, _, _ = trained()
    variable = env._store.find("wide")
    assert copy.copy(variable) is variable


def test_variables_on_a_gpu_are_copied(cupy: Any) -> None:
    """Through main memory where they are pickled."""
    env = lg.VariableEnvironment(backend="cupy", seed=0)
    env.name("w").set(np.array([1.0, np.nan]))
    for way in WAYS.values():
        made = way(env)
        assert "cupy" == made.backend
        assert env._store.backend.to_numpy(env["w"]).tobytes() == env._store.backend.to_numpy(made["w"]).tobytes()
        made["w"] = np.zeros(2)
        assert 1.0 == env._store.backend.to_numpy(env["w"])[0]
