"""What a step tells of itself: where its time goes, and where it is not finite.

All of it works on copies, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from lazygrad.engine.refused import Refused
from lazygrad.engine.runner import Runner
from lazygrad.errors import (
    FiniteError,
    GraphError,
    SpecError,
    report,
)
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.plan import Plan
from lazygrad.step.called import check_step
from lazygrad.step.context import Context
from lazygrad.step.evaluator import check_feeds, missing_feed
from lazygrad.store.draws import Drawing
from lazygrad.store.store import Store
from lazygrad.threads import get_threads

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment
    from lazygrad.profiling.profile import Profile
    from lazygrad.searching.finding import Finding

__all__ = [
    "CheckedRunner",
    "alone",
    "checked_kind",
    "drawing_of",
    "found",
    "found_natively",
    "given_of",
    "profiled",
    "said",
    "written",
]

T = TypeVar("T")
W = TypeVar("W")


def alone(env: VariableEnvironment) -> None:
    """Raise GraphError where several workers run a step together: one of them cannot look at it by itself."""
    if env.workers > 1:
        cure = "Run the program in one process to profile it, or to look for what is wrong with it."
        what = f"cannot look into a step that {env.workers} workers run together"
        raise GraphError(report(what, at=here(), cure=cure))


CHECKS = ("finite", "gradient")
NOW, BEFORE = "as they are now", "as they were before the last update"


def profiled(name: str, store: Store, runner: Runner, inputs: Sequence[Any], runs: Any) -> Profile:
    """The profile of a plan, on copies.

    Raises:
        SpecError: ``runs`` is no whole number from 1 on.
    """
    from lazygrad.profiling import measure

    if isinstance(runs, bool) or not isinstance(runs, (int, np.integer)) or runs < 1:
        raise SpecError(report(f"cannot profile {runs!r} runs", at=here(), cure="It is a whole number, 1 or more."))
    plan, parity = runner.plan, store.state.parity
    live = {name: store.find(name).live(parity).copy() for name in plan.variables}
    spare = {name: store.backend.xp.zeros_like(store.find(name).live(parity)) for name in plan.updates}
    given = measure.Given(name, plan, inputs, live, spare, drawing_of(store, store.state.runs), get_threads())
    tier = runner.native
    if store.backend.name == "numpy" and tier is not None and tier.is_ready():
        with suppress(Refused):  # the step fails: NumPy says how
            return measure.native(given, cast(Any, tier.loaded), int(runs))
    return measure.interpreted(given, store.backend, int(runs))


def said(check: Any, env: VariableEnvironment) -> tuple[str, str | None] | None:
    """What ``check=`` asks for: nothing, or ``"finite"``, or ``"gradient"`` and of which variable, if that is said.

    Raises:
        SpecError: it asks for something else.
        GraphError: several workers run the steps of the environment.
    """
    if check is None:
        return None
    kind, path = check if isinstance(check, tuple) and len(check) == 2 else (check, None)
    if kind not in CHECKS or (path is not None and (kind != "gradient" or not isinstance(path, str))):
        cure = 'It is "finite", "gradient", or ("gradient", the path of a variable).'
        raise SpecError(report(f"cannot check {check!r:.60}", at=here(), cure=cure))
    alone(env)
    return kind, path


def checked_kind(kind: Any) -> str:
    """What is looked for.

    Raises:
        SpecError: it is none of ``"nan"``, ``"inf"`` and ``"finite"``.
    """
    from lazygrad.searching.finding import KINDS

    if not isinstance(kind, str) or kind not in KINDS:
        cure = 'The first argument is "nan", "inf" or "finite" (either of the two); then come those of the step.'
        raise SpecError(report(f"cannot look for {kind!r:.60}", at=here(), cure=cure))
    return kind


class CheckedRunner(Runner):
    """Runs a plan on NumPy, node by node, and fails if what it computes is not finite: so nothing is committed."""

    def run(
        self,
        inputs: Sequence[Any],
        parity: int,
        live: Callable[[], dict[str, Any]],
        spare: Callable[[], dict[str, Any]],
        draw: Drawing,
    ) -> Sequence[Any]:
        """As of any runner.

        Raises:
            FiniteError: a value, or the new value of a variable, is not finite.
        """
        from lazygrad.searching.computed import Computed
        from lazygrad.searching.finite import search

        plan, host = self.plan, self.backend.to_numpy
        given = {i: host(x) for i, x in zip(self.input_nodes, inputs, strict=True)}
        arrays = live()
        given |= {i: host(arrays[name]) for name, i in plan.variables.items()}
        computed = Computed(plan, given, draw, hooks=True)
        finding = search(computed, "finite")
        if finding is not None:
            raise failure(finding)
        for name, array in spare().items():
            array[...] = self.backend.asarray(computed.arrays[plan.updates[name]])
        return [self.backend.asarray(np.array(computed.arrays[i])) for i in plan.values]


def failure(finding: Finding) -> FiniteError:
    """The error that says what was found."""
    error = FiniteError(str(finding))
    error.finding = finding
    return error


def found(
    env: VariableEnvironment,
    step: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    feeds: dict[str, Any] | None,
    kind: str,
    before: bool = False,
    precision: str | None = None,
) -> Finding | None:
    """The first node of a step that is bad though its operands are not.

    The variables are taken as they are, and if they are bad already, or nothing is, as they were before the last
    update: these numbers still lie in their other arrays.

    Args:
        env, step, args, kwargs, feeds: what is run.
        kind: what is looked for.
        before: whether only the variables of before the last update are of interest.
        precision: of the step, as it is compiled for.
    """
    from lazygrad.searching.computed import Computed
    from lazygrad.searching.finding import is_bad
    from lazygrad.searching.finite import search

    def write(context: Context, result: Any) -> Plan:
        return Plan(context.graph, context.asked(result), shared=False)

    def look(context: Context, plan: Plan) -> Finding | None:
        store = env._store
        tried = [
            (words, given, run)
            for words, parity, run in _states(store, plan)
            if (given := given_of(context, plan, parity)) is not None
        ]
        if before:
            tried = tried[-1:]
        elif any(is_bad("finite", tried[0][1][i]) for i in plan.variables.values()):
            tried.reverse()
        for words, given, run in tried:
            finding = search(Computed(plan, given, drawing_of(store, run)), kind)
            if finding is not None:
                return finding.with_variables(words) if plan.variables else finding
        return None

    return written(env, step, args, kwargs, feeds, write, look, precision)


def found_natively(store: Store, runner: Runner, inputs: Sequence[Any], kind: str) -> Finding | None:
    """What native code alone makes bad, if it is in place; both as :func:`found`, where NumPy finds nothing."""
    from lazygrad.searching.computed import Computed

    plan, tier = runner.plan, runner.native
    if store.backend.name != "numpy" or tier is None or not tier.is_ready():
        return None
    from lazygrad.searching.natively import searched_natively

    for words, parity, run in _states(store, plan):
        arrays = {name: store.find(name).live(parity) for name in plan.variables}
        if any(array is None for array in arrays.values()):
            continue
        live = {name: array.copy() for name, array in arrays.items()}
        given = dict(zip(runner.input_nodes, inputs, strict=True)) | {
            plan.variables[name]: x for name, x in live.items()
        }
        spare = {name: np.zeros_like(store.find(name).live(store.state.parity)) for name in plan.updates}
        computed, loaded = Computed(plan, given, drawing_of(store, run)), cast(Any, tier.loaded)
        with suppress(Refused):  # it has other numbers now, with which it fails
            finding = searched_natively(loaded, computed, inputs, live, spare, kind)
            if finding is not None:
                return finding.with_variables(words) if plan.variables else finding
    return None


def _states(store: Store, plan: Plan) -> list[tuple[str, int, int]]:
    """In words the states that variables may be taken in, with the parity and the number of the run.

    The last one is that of the last run.
    """
    parity, runs = store.state[:2]
    flips = 0
    for name in plan.updates:
        flips |= 1 << store.find(name)._number
    states = [(NOW, parity, runs), (BEFORE if flips else NOW, parity ^ flips, max(0, runs - bool(plan.draws)))]
    return states if states[0] != states[1] else states[:1]


def given_of(context: Context, plan: Plan, parity: int) -> dict[int, Any] | None:
    """Copies of all that a plan is given, as NumPy's arrays; None if a variable has no numbers there."""
    store, fed = context.env._store, context._fed()
    given: dict[int, Any] = {}
    for name, i in plan.variables.items():
        array = store.find(name).live(parity)
        if array is None:
            return None
        given[i] = np.array(store.backend.to_numpy(array))
    for name, i in plan.placeholders.items():
        if name not in fed:
            raise missing_feed(name, plan.spec(i))
        given[i] = np.array(store.backend.to_numpy(fed[name]))
    given.update({i: np.asarray(store.backend.to_numpy(context.graph.constants[n])) for i, n in plan.constants.items()})
    return given


def drawing_of(store: Store, run: int) -> Drawing:
    """What the run of that number draws from."""
    draw = Drawing()
    draw.begin(store.draws, run)
    return draw


def written(
    env: VariableEnvironment,
    step: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    feeds: dict[str, Any] | None,
    write: Callable[[Context, Any], W],
    look: Callable[[Context, W], T],
    precision: str | None,
) -> T:
    """What ``look`` makes of what ``write`` adds to a step that has just been written.

    What either of these registers is taken back. Nothing may be written or registered in ``look``.
    """
    alone(env)
    store = env._store
    with store.lock:
        store.check_idle()
        check_step(step)
        check_feeds(feeds)
        graph = Graph(env.dtype)
        context = Context(env, graph, feeds or {}, True, precision)

        def looked() -> T:
            made = write(context, context.call(step, args, kwargs))
            return store.alone("a step is being looked through", lambda: look(context, made))

        return env._write(graph, looked, keep=False)
