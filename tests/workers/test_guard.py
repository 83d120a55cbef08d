"""What differs between workers is an error on all of them, which names it, and nobody waits for ever."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from launched import mpiexec, needs_mpi

import lazygrad as lg
from lazygrad.workers import side_by_side

X = np.ones((4, 3), "float32")


def environment(c: Any, **settings: Any) -> lg.VariableEnvironment:
    """One of a worker, with a variable that is another one on each."""
    env = lg.VariableEnvironment(**{"seed": 0, **settings}, workers=c)
    env.name("w").set(np.full(3, 1.0 + c.rank, "float32"))
    return env


def told(size: int, work: Callable[[Any], Any], kind: type[Exception] = lg.WorkerError) -> list[str]:
    """What each of so many workers raises."""

    def raising(c: Any) -> str:
        with pytest.raises(kind) as caught:
            work(c)
        return str(caught.value)

    return side_by_side(size, raising)


@pytest.mark.parametrize("mode", ["run", "compile"])
def test_another_graph_on_one_worker_is_named_by_line_and_worker(mode: str) -> None:
    """The whole message, the same on all but for where it is raised."""

    def work(c: Any) -> None:
        env = environment(c)

        def step(ctx, x):
            y = x * ctx.variable("w")
            z = lg.tanh(y) if c.rank == 2 else lg.exp(y)
            return lg.sum(z)

        (env.compile(step) if mode == "compile" else lambda x: env.run(step, x))(X)

    for text in told(3, work):
        what, _, facts = text.split("\n\n")
        assert what == "workers differ where they run a step for the first time"
        facts = re.sub(r"%\d+", "%", facts)
        assert re.search(r"worker 0:  % = exp\(%\) float32\[4, 3\] .*test_guard.py:\d+\n", facts), facts
        assert re.search(r"worker 2:  % = tanh\(%\) float32\[4, 3\] .*test_guard.py:\d+\n", facts), facts


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("shape", "placeholder(name=x) float32[{rows}, 3]"),
        ("dtype", "placeholder(name=x) float{bits}[4, 3]"),
        ("seed", "seed: {rank}"),
        ("variable", "variable 'v{rank}': float32[]"),
        ("constant", "constant 0: float64[2]"),
        ("version", "numpy: 2.{rank}"),
    ],
)
def test_what_is_not_alike_is_named(what: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes, dtypes, seeds, variables, arrays beside the graph, versions."""

    def work(c: Any) -> None:
        env = environment(c, seed=c.rank if what == "seed" else 0)
        env.name(f"v{c.rank}" if what == "variable" else "v").set(np.float32(0))
        x = X[: 4 - c.rank] if what == "shape" else X.astype("float64") if what == "dtype" and c.rank else X
        beside = np.arange(2.0) + (c.rank if what == "constant" else 0)
        env.run(lambda ctx, x: (lg.sum(x), lg.sum(ctx.variable("w")), lg.sum(lg.asarray(beside))), x)

    if what == "version":
        import lazygrad.workers.guard as guard

        class Versions:
            """NumPy of another version on each worker."""

            @property
            def __version__(self) -> str:
                return f"2.{guard._running.guards[-1].workers.rank}"

            def __getattr__(self, name: str) -> Any:
                return getattr(np, name)

        monkeypatch.setattr(guard, "np", Versions())
    for text in told(2, work):
        for rank in (0, 1):
            wanted = line.format(rank=rank, rows=4 - rank, bits=64 if rank else 32)
            assert re.search(f"worker {rank}:  .*{re.escape(wanted)}", text), text


def test_a_step_that_one_worker_has_run_and_another_has_not_is_an_error_on_both() -> None:
    """Where the one compares what is new to it, the other would wait for a sum."""

    def work(c: Any) -> None:
        env = environment(c)
        step = env.compile(lambda ctx, x: lg.sum(x * ctx.variable("w")))
        step(X)
        step(X[: 4 - c.rank] if c.rank else X)
        env._store.guard.step(lambda: c.sum(np.ones(2)))

    for text in told(2, work):
        assert "workers do different things" in text
        assert "run a step for the first time" in text


def test_variables_are_those_of_worker_0_and_it_says_so_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Their numbers are given to the others before the first step, with one line on stderr."""

    def work(c: Any) -> Any:
        env = environment(c)
        env.name("v").set(np.full(2, c.rank))
        step = env.compile(lambda ctx: (lg.sum(ctx.variable("w")), ctx.assign("v", ctx.variable("v") + 1)))
        step()
        step()
        env.run(lambda ctx: ctx.variable("v"))
        return env["w"].tolist(), env["v"].tolist()

    assert side_by_side(3, work) == [([1, 1, 1], [2, 2])] * 3
    said = "lazygrad: worker 0 has given its 2 variables, 28 bytes, to the 2 other workers.\n"
    assert said == capfd.readouterr().err


def test_functions_of_the_user_are_alike_wherever_they_lie_in_memory() -> None:
    """A hook is another object on each worker, and another address in each process."""

    def work(c: Any) -> float:
        return float(environment(c).run(lambda ctx: lg.sum(lg.hook(ctx.variable("w"), lambda value: None))))

    assert side_by_side(2, work) == [3, 3]


def test_without_a_seed_that_of_worker_0_is_taken() -> None:
    """All draw the same."""

    def work(c: Any) -> Any:
        env = lg.VariableEnvironment(workers=c)
        return env.run(lambda ctx: ctx.random.normal((3,))).tolist()

    first, second = side_by_side(2, work)
    assert first == second


def test_what_one_worker_raises_in_a_step_all_raise() -> None:
    """A hook that fails on one makes the others, which wait for its sum, fail with its message; nothing is changed."""

    def work(c: Any) -> Any:
        env = environment(c)

        def hook(value: Any) -> None:
            if c.rank:
                raise ArithmeticError("bad day")
            c.sum(np.ones(2))

        def step(ctx):
            w = ctx.variable("w")
            lg.hook(w, hook)
            return ctx.assign("w", w + 1)

        with pytest.raises((ArithmeticError, lg.WorkerError)) as caught:
            env.run(step)
        return str(caught.value), env["w"].tolist()

    for text, w in side_by_side(2, work):
        assert "bad day" in text
        assert w == [1, 1, 1]


def test_an_error_that_all_workers_raise_alike_is_not_the_end() -> None:
    """After a message about shapes the next step can be run, as with one worker."""

    def work(c: Any) -> Any:
        env = environment(c)
        for _ in range(2):
            with pytest.raises(lg.SpecError, match="cannot add"):
                env.run(lambda ctx: ctx.variable("w") + np.ones(2))
        return env.run(lambda ctx: ctx.variable("w")).tolist()

    assert side_by_side(2, work) == [[1, 1, 1]] * 2


def test_a_step_within_a_step_must_have_the_same_workers() -> None:
    """Two environments with different communicators are refused on all workers."""

    def work(c: Any) -> None:
        env, alone = environment(c), side_by_side(1, lambda other: other)[0]
        other = lg.VariableEnvironment(seed=0)
        other._store.guard = type(env._store.guard)(alone)
        env.run(lambda ctx: other.run(lambda ctx: lg.asarray(1.0)))

    for text in told(2, work, lg.GraphError):
        assert text.startswith("a step of an environment runs a step of another one, which has other workers")
        assert "Run the one after the other, or give both environments the same workers." in text


def test_one_worker_writes_a_file_and_the_others_wait(tmp_path: Any) -> None:
    """All call env.save; there is one file, by the time that any of them goes on."""

    def work(c: Any) -> Any:
        env = environment(c)
        env.run(lambda ctx: ctx.variable("w"))
        env.save(tmp_path / "env.json")
        loaded = lg.VariableEnvironment.load(tmp_path / "env.json")
        return loaded["w"].tolist()

    assert side_by_side(3, work) == [[1, 1, 1]] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["env.json"]


def test_a_file_that_cannot_be_written_is_an_error_on_all(tmp_path: Any) -> None:
    """What worker 0 raises, all raise."""
    texts = told(2, lambda c: environment(c).save(tmp_path / "none" / "env.json"), lg.SaveError)
    assert texts[0].splitlines()[0] == texts[1].splitlines()[0]
    assert "env.json" in texts[0]


def test_a_copy_has_the_same_workers_and_what_is_unpickled_has_none() -> None:
    """A copy goes on among the workers; a pickle is of one process."""
    import pickle

    def work(c: Any) -> Any:
        env = environment(c)
        copied, thawed = env.copy(), pickle.loads(pickle.dumps(env))
        own = copied._store.among.communicator is c
        return own, copied._store.guard is not env._store.guard, thawed.workers

    assert side_by_side(2, work) == [(True, True, 1)] * 2


@needs_mpi
def test_processes_that_differ_end_with_the_difference() -> None:
    """The same under mpiexec: both say it, in seconds."""
    text = """
    import numpy as np
    import lazygrad as lg
    env = lg.VariableEnvironment(seed=0, workers="mpi")
    f = lg.tanh if env.worker else lg.exp
    env.run(lambda ctx, x: lg.sum(f(x)), np.ones(3, "float32"))
    """
    ended = mpiexec(2, text)
    assert ended.code
    assert ended.said.count("WorkerError: workers differ where they run a step for the first time") == 2
    assert "worker 0:  %1 = exp(%0) float32[3] <string>:6" in ended.said
    assert "worker 1:  %1 = tanh(%0) float32[3] <string>:6" in ended.said


@needs_mpi
def test_saving_on_one_process_alone_is_an_error_on_both(tmp_path: Any) -> None:
    """What other frameworks ask for, `if rank == 0: save()`, is told what it should be."""
    text = f"""
    import numpy as np
    import lazygrad as lg
    env = lg.VariableEnvironment(seed=0, workers="mpi")
    if env.worker == 0:
        env.save({str(tmp_path / "env.json")!r})
    env._store.among.communicator.sum(np.ones(3))
    """
    ended = mpiexec(2, text)
    assert ended.code
    assert "workers do different things" in ended.said
    assert "worker 0:  save " in ended.said
