"""What users look at goes through pickles and copies: graphs, plans, profiles, findings, histories, errors."""

from __future__ import annotations

import copy
import linecache
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_processes import printed

import lazygrad as lg
from lazygrad import errors
from lazygrad.define.kinds import item
from lazygrad.ops import control
from lazygrad.plan import Plan
from lazygrad.visualize import assigned_names

X = np.linspace(-1, 1, 12, dtype="f4").reshape(4, 3)


def unpickled(value: Any) -> Any:
    """What comes out of a pickle of the newest form."""
    return pickle.loads(pickle.dumps(value))


WAYS: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {k}": lambda x, k=k: pickle.loads(pickle.dumps(x, k)) for k in range(2, pickle.HIGHEST_PROTOCOL + 1)},
}


@lg.define.elementwise(vjp=lambda g, y, x: 2 * g * x)
def squared_once(xp: Any, x: Any) -> Any:
    """x²."""
    return x * x


def training(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """A step with an own op, a loop with an inner one, a choice, draws and an optimizer."""
    layer, adam = lg.nn.Linear(env, 3, 2, name="layer"), lg.optim.Adam(env, 0.1)

    def step(ctx: lg.Context, x: Any) -> Any:
        hidden = squared_once(layer(x))

        def turn(carry: Any, row: Any) -> Any:
            inner, _ = lg.scan(lambda a, b: (a + b, None), lg.sum(carry), row)
            return carry + lg.cond(inner > 0, lambda: row, lambda: -row), inner

        last, sums = lg.scan(turn, hidden[0], hidden)
        loss = lg.mean(lg.square(last)) + lg.sum(sums) * ctx.random.uniform(())
        return loss, adam.minimize(loss)

    return step


@pytest.mark.parametrize("way", WAYS)
def test_a_graph_is_read_as_it_was(way: str) -> None:
    """As text with bodies, as DOT with the names of the program, and by the line of every node."""
    env = lg.VariableEnvironment(seed=0)
    graph = env.trace(training(env), X)
    made = WAYS[way](graph)
    assert (str(graph), graph.to_dot()) == (str(made), made.to_dot())
    assert [(o.place, o.text, o.part, o.layer, str(o)) for o in graph.origins] == [
        (o.place, o.text, o.part, o.layer, str(o)) for o in made.origins
    ]
    assert "loss" in assigned_names(made).values()
    assert assigned_names(graph) == assigned_names(made)
    assert all(node.of(other.op) for node, other in zip(graph.nodes, made.nodes, strict=True))
    assert not made.open


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_is_explained_as_it_was(way: str) -> None:
    """With what its native code was, which stays where it is; a plan can be made of a pickled graph too."""
    env = lg.VariableEnvironment(seed=0)
    written = training(env)
    step = env.compile(written)
    step(X)
    step.wait()
    made = WAYS[way](step.plan)
    assert step.plan.explain() == made.explain()
    assert (step.plan.peak_bytes, step.plan.evaluations) == (made.peak_bytes, made.evaluations)
    assert (step.plan.dying, step.plan.updates, step.plan.static) == (made.dying, made.updates, made.static)
    graph = env.trace(written, X)
    assert Plan(graph, graph.roots).explain() == Plan(WAYS[way](graph), graph.roots).explain()


@pytest.mark.parametrize("way", WAYS)
def test_a_profile_and_a_finding_are_as_they_were(way: str) -> None:
    """All tables, also by layer and by line, and the whole message."""
    env = lg.VariableEnvironment(seed=0)
    profile = env.compile(training(env)).profile(X, runs=2)
    made = WAYS[way](profile)
    assert str(profile) == str(made)
    assert all(profile.rows(by) == made.rows(by) for by in ("kernel", "layer", "line"))
    finding = env.compile(lambda ctx, x: lg.log(x - 2)).find("nan", X)
    assert str(finding) == str(WAYS[way](finding))
    assert (finding.line, finding.rows) == (WAYS[way](finding).line, WAYS[way](finding).rows)


@pytest.mark.parametrize("way", WAYS)
def test_a_history_is_as_it_was(way: str) -> None:
    """Its columns, seconds, rates and why it ended."""
    history = lg.History({"loss": [2.0]}, [0.5])
    history.add({"loss": 1.0, "validation_loss": 1.5}, 0.25, {"adam": 0.1})
    history.stopped = "enough"
    made = WAYS[way](history)
    assert repr(dict(history)) == repr(dict(made))  # with a NaN where nothing was measured
    assert (history.seconds, history.stopped, repr(history)) == (made.seconds, made.stopped, repr(made))
    assert repr(history.rates) == repr(made.rates)


@pytest.mark.parametrize("name", [n for n in errors.__all__ if isinstance(getattr(errors, n), type) and n != "Origin"])
def test_errors_are_raised_again_elsewhere(name: str) -> None:
    """As a pool does with what a worker has raised: its kind, its message and what hangs on it."""
    error = getattr(errors, name)("cannot do it")
    error.note = "kept"
    made = unpickled(error)
    assert (type(error), str(error), "kept") == (type(made), str(made), made.note)


def test_what_is_not_finite_is_told_elsewhere() -> None:
    """The error of a run with check="finite" keeps what was found."""
    env = lg.VariableEnvironment()
    with pytest.raises(lg.FiniteError) as raised:
        env.run(lambda ctx, x: lg.log(x - 2), X, check="finite")
    made = unpickled(raised.value)
    assert str(raised.value) == str(made)
    assert str(raised.value.finding) == str(made.finding)


def test_the_text_of_a_line_is_in_the_pickle(tmp_path: Path) -> None:
    """Where it is read, the file may have changed or be gone."""
    program = tmp_path / "gone.py"
    program.write_text("def step(ctx, x):\n    total = x.sum()  # of all\n    return total\n")
    names: dict[str, Any] = {}
    exec(compile(program.read_text(), str(program), "exec"), names)
    graph = lg.VariableEnvironment().trace(names["step"], X)
    text = pickle.dumps(graph)
    program.unlink()
    linecache.clearcache()
    assert "total = x.sum()  # of all" == pickle.loads(text).origins[-1].text
    assert f"{program}:2" == pickle.loads(text).origins[-1].place
    assert str(pickle.loads(text)) == str(unpickled(pickle.loads(text)))


def test_a_pickle_of_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The insides of its objects may be others; files are read for good. What holds an environment tells it too."""
    env = lg.VariableEnvironment(seed=0)
    graph = env.trace(training(env), X)
    step = env.compile(squared_step)
    step(X)
    texts = [pickle.dumps(value) for value in (env, step, graph, step.plan)]
    monkeypatch.setattr(lg, "__version__", "9.0")
    for text, what in zip(texts, ("an environment", "an environment", "a graph", "a graph"), strict=True):
        with pytest.raises(lg.SaveError) as raised:
            pickle.loads(text)
        start = f"cannot unpickle {what} of another version\n\n    this lazygrad:  9.0\n    the pickle's:   0."
        assert str(raised.value).startswith(start)
    with pytest.raises(lg.SaveError, match=r"Save it to a file there, env\.save\(path\): files are read for good"):
        pickle.loads(texts[0])
    assert step.plan.explain() == copy.deepcopy(step.plan).explain()


def squared_step(ctx: lg.Context, x: Any) -> Any:
    """A step that is found by its name."""
    return squared_once(x)


def test_an_estimator_of_another_version_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """As scikit-learn warns of its own."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from lazygrad.sklearn import Regressor

    text = pickle.dumps(Regressor(epochs=3))
    assert 3 == pickle.loads(text).epochs
    monkeypatch.setattr(lg, "__version__", "9.0")
    with pytest.warns(UserWarning, match=r"a Regressor of lazygrad .* is unpickled by 9\.0, and may predict otherwise"):
        assert 3 == pickle.loads(text).epochs


def test_lines_are_in_a_pickle_once() -> None:
    """However many nodes a line has written, so that the pickle of a long step is short."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, x: Any) -> Any:
        for _ in range(1000):
            x = x + 1.0  # a line that is written once
        return x

    text = pickle.dumps(env.trace(step, X))
    assert 1 == text.count(b"a line that is written once")
    assert len(text) < 200 * 2000


def test_lazygrads_ops_are_themselves() -> None:
    """Also those that no function declares: loops, choices, and one result of several."""
    for op in (item, control.SCAN, control.WHILE_ACTING, control.COND, control.CALL, lg.exp, lg.matmul):
        assert all(op is way(op) for way in (copy.copy, copy.deepcopy, unpickled))


def test_a_graph_cannot_be_copied_while_it_is_written() -> None:
    """Its nodes would be those of two graphs; the message says what can be copied."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return copy.deepcopy(x)

    with pytest.raises(lg.GraphError) as raised:
        lg.VariableEnvironment().run(step, X)
    cure = "Copy or pickle what env.trace(step, ...) gives."
    assert f"cannot copy a graph while it is being written\n\n    {cure}" == str(raised.value)


def test_an_op_that_no_one_finds_cannot_be_pickled() -> None:
    """Of a function, where nothing sends functions whole: that is said at once, with where it was declared."""
    code = (
        "import pickle, lazygrad as lg\n"
        "def declare():\n"
        "    @lg.define.elementwise(vjp=lambda g, y, x: g)\n"
        "    def local(xp, x):\n"
        '        "x."\n'
        "        return x\n"
        "    return local\n"
        "try:\n"
        "    pickle.dumps(declare())\n"
        "except pickle.PicklingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cannot pickle op 'local', declared at <string>:")
    assert "Declare it at the top of a module" in done.stdout


def test_a_step_that_no_one_finds_cannot_be_pickled() -> None:
    """A lambda, where nothing sends functions whole: said with the line; it can be copied all the same."""
    code = (
        "import copy, pickle, lazygrad as lg\n"
        "step = lg.VariableEnvironment().compile(lambda ctx: ctx.constant(1.0) + 1)\n"
        "print(copy.deepcopy(step)())\n"
        "try:\n"
        "    pickle.dumps(step)\n"
        "except pickle.PicklingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    copied, said = done.stdout.split("\n", 1)
    assert "2.0" == copied
    assert said.startswith("cannot pickle step <lambda>: no other process finds it by that name\n\n    <string>:2")
    assert "Define it at the top of a module, or import cloudpickle" in said


OWN = """
import sys
import numpy as np
import lazygrad as lg

@lg.define.elementwise(vjp=lambda g, y, x: twice_of(g))
def twice_of(xp, x):
    "2 x; its rule names it."
    return 2 * x

def declared(factor):
    @lg.define.elementwise(vjp=lambda g, y, x, *, power: factor * power * g)
    def local(xp, x, *, power=1):
        "A multiple, by an op that is declared within a function."
        return factor * power * x
    return local

env = lg.VariableEnvironment(seed=0)
env.name("w").set(np.ones(3, "float32"))

@env.compile
def step(ctx, x):
    loss = lg.sum(twice_of(ctx.variable("w")) * x)
    return loss, lg.grad(loss, [ctx.variable("w")])

x = np.arange(3, dtype="float32")

def work(sent):
    step, graph, plan, profile, finding = sent
    loss, (gradient,) = step(x)
    return float(loss), gradient.tolist(), str(graph), str(profile), str(finding), plan.explain().splitlines()[0]

if __name__ == "__main__":
    step(x)
    finding = env.compile(lambda ctx, x: lg.log(-lg.sum(twice_of(x)))).find("nan", x)
    sent = step, env.trace(step.__wrapped__, x), step.plan, step.profile(x, runs=2), finding
    if sys.argv[1] == "loky":
        from joblib import Parallel, delayed
        results = Parallel(n_jobs=2)(delayed(work)(sent) for _ in range(2))
        local = declared(3.0)
        other = env.compile(lambda ctx, x: (local(x, power=2), lg.grad(lg.sum(local(x, power=2)), [x])))
        back = Parallel(n_jobs=2)([delayed(lambda op, step: (op, op is op, step(x)))(local, other)])[0]
        assert back[0] is local
        assert ([0, 6, 12], [6, 6, 6]) == (back[2][0].tolist(), back[2][1][0].tolist())
    else:
        import multiprocessing
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            results = pool.map(work, [sent, sent], chunksize=1)
    assert [work(sent)] * 2 == results, results
    print("alike")
"""


@pytest.mark.parametrize("way", ["fork", "spawn", "loky", "spawn beside joblib"])
def test_what_users_look_at_goes_to_other_processes(way: str, tmp_path: Path) -> None:
    """With ops of the program that is run, and with joblib also those of functions, which no one finds by name."""
    if "jo" in way or way == "loky":
        pytest.importorskip("joblib", reason="joblib comes with scikit-learn")
    text = f"import joblib\n{OWN}" if "jo" in way else OWN
    assert "alike\n" == printed(text, way.split()[0], tmp_path)


def test_an_op_of_a_module_is_pickled_by_its_name_alone() -> None:
    """The same bytes whoever pickles it, as caches of what was computed want it."""
    assert pickle.dumps(squared_once) == pickle.dumps(squared_once)
    assert len(pickle.dumps(squared_once)) < 100
    assert squared_once is unpickled(squared_once)
