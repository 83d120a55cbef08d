"""The store of an environment: its variables and their arrays, whose turn it is, and the commit that changes them.

The environment is what users see of it; contexts, compiled steps, layers and optimizers speak to the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from lazygrad.errors import DefinitionError, GraphError, VariableError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Shape
from lazygrad.store.draws import Drawing, Draws
from lazygrad.store.shares import Shares
from lazygrad.store.turns import depth, renewed_at_forks
from lazygrad.store.variables import Variable, bits
from lazygrad.workers.among import ALONE, Among

if TYPE_CHECKING:
    from lazygrad.backends.base import Backend
    from lazygrad.engine.runner import Runner
    from lazygrad.environment import VariableEnvironment
    from lazygrad.optim.base import Optimizer
    from lazygrad.workers.guard import Guard

__all__ = ["EVALUATED", "State", "Store"]

T = TypeVar("T")
Run = Callable[..., Sequence[Any]]

EVALUATED = "a step is being evaluated"


class State(NamedTuple):
    """All that a commit changes. It is one attribute of a store, so a commit is one store of an attribute.

    No exception and no interrupt can split that.
    """

    parity: int  # a bit for every variable: in which of its two arrays its value lies
    runs: int  # how many runs have drawn random numbers
    permanent: int  # how many variables stay even if the step being written fails
    late: int = 0  # how many runs of one step, the last ones, have been committed before it is known that none failed


class Scope(NamedTuple):
    """How much there was when a step, or a layer, began to register what stays only if it comes to its end."""

    variables: int
    layers: int
    names: int


class Store(Shares):
    """What an environment holds.

    Attributes:
        variables: by path, in the order in which they were registered.
        layers: by path, the kind of a layer and the paths of its own variables.
        names: that optimizers have, in order.
        optimizers: these, by name, as long as somebody else holds them.
        draws: where random numbers come from.
        drawing: what the run that is under way draws from.
        state: what a commit changes.
        version: counts what a cached trace cannot see: new trainable variables, freezing, new schedules.
        lock: one thread at a time runs a step or changes something.
        executing: in words, what nobody may come between; empty, if there is nothing. An interrupt may leave it.
        scope: the outermost one that has begun.
        among: the workers that run the same steps.
        guard: keeps them together, if there are several.
        is_sharded: whether optimizers share their state out among them.
        shared: of the variables of which each worker has its part the shape of the whole, by path.
        unsure: the plan whose runs are late, and the state before the first of them; None if none are.
        is_widening_said: whether it was said that a step computes in a wider dtype.
    """

    def __init__(self, backend: Backend, draws: Draws) -> None:
        self.backend = backend
        self.draws = draws
        self.drawing = Drawing()
        self.variables: dict[str, Variable] = {}
        self.layers: dict[str, tuple[str, list[str]]] = {}
        self.names: dict[str, None] = {}
        self.optimizers: WeakValueDictionary[str, Optimizer] = WeakValueDictionary()
        self.state = State(0, 0, 0)
        self.version = 0
        self.lock = threading.RLock()
        self.executing = ""
        self.scope: Scope | None = None
        self.unsure: tuple[Runner, State] | None = None
        self.is_widening_said = False
        self.among: Among = ALONE
        self.guard: Guard | None = None
        self.is_sharded = False
        self.shared: dict[str, Shape] = {}
        renewed_at_forks(self)

    def __iter__(self) -> Iterator[Variable]:
        return iter(list(self.variables.values()))

    def find(self, path: Any) -> Variable:
        """The variable of a path.

        Raises:
            VariableError: there is none; names those that are near.
        """
        found = self.variables.get(path)
        if found is None:
            cure = nearest(str(path), self.variables)
            raise VariableError(report(f"there is no variable {path!r}", at=here(), cure=cure))
        return found

    # Registering.

    def free_path(self, path: str | None, base: str) -> str:
        """``path``, if neither a layer nor an optimizer has it; for ``None`` it is ``base``, numbered if it has to be.

        Raises:
            DefinitionError: ``path`` is taken.
        """
        taken = self.layers.keys() | self.names.keys()
        if path is not None:
            if path in taken:
                other = f"a layer {self.layers[path][0]}" if path in self.layers else "an optimizer"
                cure = "Give the second one another name, or leave it out."
                raise DefinitionError(report(f"there is {other} named {path!r} already", at=here(), cure=cure))
            return path
        path, number = base, 1
        while path in taken:
            path, number = f"{base}_{number}", number + 1
        return path

    def add(self, env: VariableEnvironment, path: str, own: Any, trainable: bool) -> Variable:
        """Register a variable with an array that nobody else has."""
        last = next(reversed(self.variables.values()), None)  # those that came later have higher numbers
        number = 0 if last is None else last._number + 1
        if self.state.parity >> number:
            self.state = self.state._replace(parity=self.state.parity & ~(1 << number))
        own = self.backend.xp.asarray(own, order="C")
        variable = self.variables[path] = Variable(env, path, own, trainable, number)
        self.version += trainable
        if self.scope is None:
            self.keep()
        return variable

    def whole(self, body: Callable[[], T], keep: bool = True) -> T:
        """``body()``, of which all that it registers stays, or nothing if it fails (or is not to be kept).

        An interrupt may come while it is taken back. So what stays is what a state says does; the rest is taken back
        here, or by whoever looks next.
        """
        with self.lock:
            outermost = self.scope is None
            if outermost:
                self.keep()
            scope = Scope(len(self.variables), len(self.layers), len(self.names))
            try:
                if outermost:
                    self.scope = scope
                result = body()
                if not keep:
                    self._forget(scope)
                elif outermost:
                    self.keep()
            except BaseException:
                self._forget(scope)
                if outermost:
                    self.scope = None
                raise
            if outermost:
                self.scope = None
            return result

    def keep(self) -> None:
        """Let every variable there is now stay, even if the step being written fails."""
        while True:
            state = self.state
            new = state._replace(permanent=len(self.variables))
            if self.state is state:  # no handler of a signal has run a step meanwhile, nor can one before the store
                self.state = new
                return

    def _forget(self, scope: Scope) -> None:
        """Take back what was registered since, but for what a run has committed."""
        kept = max(scope.variables, self.state.permanent)
        for found, count in ((self.layers, scope.layers), (self.names, scope.names), (self.variables, kept)):
            for path in reversed(list(found)[count:]):
                del found[path]

    # Whose turn it is.

    def settle(self, late: bool = False) -> None:
        """Take back what an interrupt has left: a scope, or a run, that nobody of those who have the lock is in.

        Args:
            late: whether runs may stay unsure. If not, they are waited for.

        Raises:
            LateError: one of these had failed.
        """
        if (self.scope is not None or self.executing) and depth(self.lock) == 1:
            self.executing = ""
            if self.scope is not None:
                self._forget(self.scope)
                self.scope = None
        if self.state.late and not late and not self.executing:
            self.make_sure()

    def check_idle(self, late: bool = False) -> None:
        """Raise GraphError while a step is evaluated, or something is done alone; :meth:`settle` before."""
        self.settle(late)
        if self.executing:
            raise GraphError(
                report(
                    f"cannot change the environment, or run a step, while {self.executing}",
                    at=here(),
                    cure="A hook, and a handler or a finalizer that is called meanwhile, must leave the environment "
                    "alone: keep the array, and go on afterwards.",
                )
            )

    def alone(self, what: str, body: Callable[[], T]) -> T:
        """``body()``, between which nobody else runs a step or changes the environment, not even what Python calls in
        between: a handler of a signal, a finalizer.

        Args:
            what: in words, for whoever comes between.
        """
        self.check_idle()
        try:
            self.executing = what
            return body()
        finally:
            self.executing = ""

    def saved(self, what: str, body: Callable[[], None]) -> None:
        """``body()``, alone, which writes a file: where there are several workers, one writes it."""
        self.written(what, lambda: None, lambda _: body())

    def written(self, what: str, made: Callable[[], T], write: Callable[[T], None]) -> None:
        """``write(made())``, alone, which writes a file: of several workers all make it, and one writes."""

        def body() -> None:
            found, guard = made(), self.guard
            if guard is None:
                write(found)
            else:
                guard.once(what, lambda: write(found))

        self.alone("it is being saved", body)

    # Committing.

    def put(self, arrays: Sequence[tuple[Variable, Any]], runs: int | None = None) -> None:
        """Give variables numbers, and the draws a place, in one commit."""
        parity, before, permanent, _ = self.state
        for variable, array in arrays:
            variable.spare(parity)[...] = array
        flips = bits(variable._number for variable, _ in arrays)
        self.state = State(parity ^ flips, before if runs is None else runs, permanent)

    def go_back(self, arrays: Mapping[str, Any], runs: int) -> None:
        """Give variables the numbers, and the draws the place, that they had before; in one commit."""
        with self.lock:
            found = [(self.variables[path], array) for path, array in arrays.items() if path in self.variables]
            self.alone("it is being taken back", lambda: self.put(found, runs))

    def transact(self, runner: Runner, inputs: Sequence[Any], pack: Callable[[Sequence[Any]], T]) -> T:
        """Run a plan, make with ``pack`` what is returned of its values, and commit.

        What can fail comes first; the commit is one store of an attribute, and nothing after it fails.
        """
        if self.state.late and (self.unsure is None or self.unsure[0] is not runner or runner.has_failed()):
            self.make_sure()
        try:
            self.executing = EVALUATED
            state = self.state
            parity, runs, _, late = state
            if not late:
                self.unsure = (runner, state) if runner.may_be_late else None
            runner.number = late + 1
            result = pack(self._run(runner, runner.run, inputs, parity, runs))
            late = late + 1 if runner.is_late else 0
            self.state = State(parity ^ runner.flips, runs + runner.plan.draws, len(self.variables), late)
            return result
        finally:
            self.executing = ""

    def make_sure(self) -> None:
        """Wait until it is known that no run that was committed has failed.

        From one that did on all of them have written nothing over what there was before. So what is taken back is
        which arrays hold the values, and how often numbers were drawn.

        Raises:
            LateError: one has.
        """
        assert self.unsure is not None
        (runner, (parity, runs, _, _)), state = self.unsure, self.state
        failed = runner.failed()
        if not failed:
            self.state = state._replace(late=0)
            return
        done = failed - 1
        parity ^= runner.flips * (done % 2)
        runs += done * runner.plan.draws
        self.state = State(parity, runs, state.permanent)
        why = None
        if failed == state.late:  # the arrays that it was called with are still there
            try:
                self._run(runner, runner.explain, runner.last, parity, runs)
            except Exception as reason:
                why = reason
        raise runner.late_error(failed, state.late, why) from why

    def _run(self, runner: Runner, run: Run, inputs: Sequence[Any], parity: int, runs: int) -> Sequence[Any]:
        """The values of a plan; new values of variables are where those that a commit replaces were."""
        plan, touched = runner.plan, self.touched(runner)
        if plan.draws:
            self.drawing.begin(self.draws, runs)
        try:
            with np.errstate(all="ignore"):
                return run(
                    inputs,
                    parity & touched,
                    lambda: {name: self.find(name).live(parity) for name in plan.variables},
                    lambda: {name: self.find(name).spare(parity) for name in plan.updates},
                    self.drawing,
                )
        except MemoryError as reason:
            found = runner.full(reason)
            if found is reason:
                raise
            raise found from reason

    def touched(self, runner: Runner) -> int:
        """The bits of the variables that a plan reads or changes; ``runner.flips`` are then those that it changes."""
        if runner.touched is None:
            plan = runner.plan
            runner.flips = bits(self.find(name)._number for name in plan.updates)
            runner.touched = bits(self.find(name)._number for name in {*plan.variables, *plan.updates})
        return runner.touched

    def after(self, flips: int, draws: bool = False) -> State:
        """The state after a run that changes these variables, and draws or not."""
        parity, runs, _, _ = self.state
        return State(parity ^ flips, runs + draws, len(self.variables))

    # Moving.

    def move(self, backend: Backend, forget: Callable[[], None]) -> None:
        """Keep all arrays on another backend from now on, or none if that fails.

        Args:
            forget: is called before anything changes, and forgets what runs on the arrays as they lie.

        Raises:
            GraphError: a step is being written or evaluated.
        """
        with self.lock:
            self.settle()
            if self.executing or self.scope is not None:
                cure = "Move it before or after the run."
                raise GraphError(report("cannot move an environment in the middle of a step", at=here(), cure=cure))
            if backend.name != self.backend.name:
                self.alone("it is being moved", lambda: self._move(backend, forget))

    def _move(self, backend: Backend, forget: Callable[[], None]) -> None:
        parity = self.state.parity
        moved = [(v, backend.asarray(self.backend.to_numpy(v.live(parity)))) for v in self]
        self.version += 1
        forget()
        for variable, array in moved:
            variable._arrays[1 - (parity >> variable._number & 1)] = array
        state = self.after(bits(v._number for v, _ in moved))
        self.state, self.backend = state, backend  # an interrupt cannot come between
        for variable, _ in moved:
            variable._arrays[parity >> variable._number & 1] = None

    # Copies.

    def contents(self) -> dict[str, Any]:
        """All that is stored, with copies of the arrays, as a copy or a pickle has it."""
        return {
            "seed": self.draws.seed,
            "runs": self.state.runs,
            "variables": dict(self.variables),
            "arrays": [np.array(self.backend.to_numpy(v.live(self.state.parity))) for v in self],
            "names": dict(self.names),
            "layers": {path: (kind, list(paths)) for path, (kind, paths) in self.layers.items()},
        }

    def fill(self, contents: Mapping[str, Any]) -> None:
        """Take up what :meth:`contents` gave, in place of what is stored; the draws have its seed already."""
        self.variables, self.names, self.layers = (contents[name] for name in ("variables", "names", "layers"))
        for number, (variable, array) in enumerate(zip(self, contents["arrays"], strict=True)):
            # What joblib and Dask send may lie in a file, or in a buffer of theirs, which nobody writes to.
            own = array if type(array) is np.ndarray and array.flags.owndata else np.array(array, order="C")
            variable._number, variable._arrays = number, [self.backend.asarray(own), None]
        self.state = State(0, contents["runs"], len(self.variables))
