"""A step and the variables to solve for: its numbers and derivatives as functions of one vector, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

import numpy as np

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import GraphError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.source import assign, variable
from lazygrad.optimize import flat
from lazygrad.optimize.choice import arrays_in, chosen, key_of, names_in
from lazygrad.plan import draws
from lazygrad.step.called import step_name
from lazygrad.step.compiled import Compiled
from lazygrad.step.context import Context
from lazygrad.store.variables import Variable

__all__ = ["Problem", "forget", "posed"]

Vector = np.ndarray[Any, np.dtype[np.float64]]

MAX_PROBLEMS = 16  # of a step, the one posed last forgotten last
DENSE = 16  # passes that are written into one step; more are runs of a step that makes one


class Problem:
    """What a step computes, as functions of the vector of its variables.

    The variables of the environment are left alone: they are read from the vector.
    """

    def __init__(self, step: Compiled, args: tuple[Any, ...], variables: Sequence[Variable]) -> None:
        self.env: VariableEnvironment = step._env
        self.step = step._step
        self.name = step_name(step._step)
        self.shape = flat.Shape(variables)
        self.names = names_in(step._step, args)
        self.args, self._wait = flat.without_arrays(args), step._wait
        self.returned: tuple[int, ...] = ()  # the shape of what the step returns, if that is one tensor
        self._steps: dict[str, Compiled] = {}
        self._numpy = self.env.backend == "numpy"

    def forget(self) -> None:
        """Stop what is being compiled for it."""
        for step in self._steps.values():
            step._forget()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_steps": {}}  # they are compiled anew

    @property
    def variables(self) -> list[Variable]:
        """The variables, in the order of the vector."""
        return self.shape.variables

    @property
    def size(self) -> int:
        """The length of the vector."""
        return self.shape.size

    def _compiled(self, name: str, write: Callable[..., Any], directions: int = 0) -> Compiled:
        found = self._steps.get(name)
        if found is None:
            step = flat.Flat(self.step, self.args, self.shape, write, directions)
            found = self._steps[name] = Compiled(self.env, step, self._wait)
        return found

    def _call(self, step: Compiled, *arrays: Any) -> Any:
        if self._numpy:
            return step(*arrays)
        backend = self.env._store.backend
        result = step(*map(backend.asarray, arrays))
        return tuple(map(backend.to_numpy, result)) if isinstance(result, tuple) else backend.to_numpy(result)

    # Functions of the vector and of the arrays among the arguments.

    def value(self, arrays: Sequence[Any]) -> Callable[[Vector], float]:
        """The loss."""
        step = self._compiled("value", flat.value)
        return lambda x: float(self._call(step, x, *arrays))

    def value_and_gradient(self, arrays: Sequence[Any]) -> Callable[[Vector], tuple[float, Vector]]:
        """The loss and its gradient."""
        step = self._compiled("value and gradient", flat.value_and_gradient)
        if self._numpy:
            return lambda x: step(x, *arrays)
        return lambda x: self._call(step, x, *arrays)

    def hessian_product(self, arrays: Sequence[Any]) -> Callable[[Vector, Vector], Vector]:
        """Second derivatives of the loss times a vector."""
        step = self._compiled("hessian", partial(flat.hessian_product, shape=self.shape), 1)
        return lambda x, v: np.asarray(self._call(step, x, np.ravel(v).astype(np.float64), *arrays))

    def hessian(self, arrays: Sequence[Any]) -> Callable[[Vector], Vector]:
        """All second derivatives of the loss, a column at a time."""
        product, units = self.hessian_product(arrays), np.eye(self.size)
        return lambda x: np.stack([product(x, unit) for unit in units], axis=1)

    def residuals(self, arrays: Sequence[Any]) -> Callable[[Vector], Vector]:
        """The residuals in a row."""
        step = self._compiled("residuals", flat.residuals)
        return lambda x: np.asarray(self._call(step, x, *arrays))

    def forward(self, arrays: Sequence[Any]) -> Callable[[Vector, Vector], Vector]:
        """The Jacobian of the residuals times a vector."""
        step = self._compiled("forward", partial(flat.forward, shape=self.shape), 1)
        return lambda x, v: np.asarray(self._call(step, x, np.ravel(v).astype(np.float64), *arrays))

    def backward(self, arrays: Sequence[Any]) -> Callable[[Vector, Vector], Vector]:
        """The transposed Jacobian of the residuals times a vector."""
        step = self._compiled("backward", flat.backward, 1)
        return lambda x, u: np.asarray(self._call(step, x, np.ravel(u).astype(np.float64), *arrays))

    def jacobian(self, arrays: Sequence[Any], count: int) -> Callable[[Vector], Vector]:
        """The Jacobian of ``count`` residuals as a matrix."""
        if min(count, self.size) <= DENSE:
            step = self._compiled("jacobian", flat.dense_jacobian)
            return lambda x: np.asarray(self._call(step, x, *arrays))
        if self.size <= count:
            along, units = self.forward(arrays), np.eye(self.size)
            return lambda x: np.stack([along(x, unit) for unit in units], axis=1)
        back, rows = self.backward(arrays), np.eye(count)
        return lambda x: np.stack([back(x, row) for row in rows])

    def curvature(self, arrays: Sequence[Any]) -> Callable[[Vector, Vector, Vector], Vector]:
        """Second derivatives of the residuals' product with ``u``, times ``v``: a function of x, v and u."""
        step = self._compiled("curvature", partial(flat.curvature, shape=self.shape), 2)

        def product(x: Vector, v: Vector, u: Vector) -> Vector:
            given = np.ravel(v).astype(np.float64), np.ravel(u).astype(np.float64)
            return np.asarray(self._call(step, x, *given, *arrays))

        return product

    # The vector and the variables.

    def start(self) -> Vector:
        """The vector of the values that the variables have."""
        env = self.env
        with env._store.lock:
            env._store.check_idle()
            parity = env._store.state.parity
            rows = [np.ravel(env._store.backend.to_numpy(v.live(parity))) for v in self.variables]
            return np.concatenate(rows, dtype=np.float64)  # a copy, also of a single one

    def named(self, x: Vector) -> dict[str, Any]:
        """The parts of a vector as arrays of the variables' shapes and dtypes, by path."""
        pairs = zip(self.variables, self.shape.slices, strict=True)
        with np.errstate(over="ignore"):  # what is beyond float32 is infinite there
            return {v.path: x[where].reshape(v.shape).astype(v.dtype) for v, where in pairs}

    def put(self, x: Vector) -> None:
        """Give the variables the numbers of a vector, in one commit."""
        env, values = self.env, self.named(x)
        with env._store.lock:
            arrays = [(v, env._store.backend.asarray(values[v.path])) for v in self.variables]
            env._store.alone("a solution is being written", lambda: env._store.put(arrays))


def posed(
    step: Any, args: tuple[Any, ...], variables: Any, what: str, check: Callable[[Any], Any]
) -> tuple[Problem, list[Any]]:
    """The problem of a compiled step, and the arrays among its arguments; remembered for another call like it.

    Args:
        step: the compiled step.
        args: its arguments.
        variables: as the user named them, or ``None``.
        what: what is done with it, as messages say it.
        check: raises if what the step returns cannot be used.

    Raises:
        GraphError: the step is not compiled, changes variables, or draws random numbers.
        LazygradError: it is wrong; its message says where.
    """
    if not isinstance(step, Compiled):
        cure = "Compile it for the environment whose variables it reads: step = env.compile(step)."
        raise GraphError(report(f"cannot {what} {step!r:.60}: it is not a compiled step", at=here(), cure=cure))
    env = step._env
    arrays = arrays_in(args, env._store.backend)
    asked = None if variables is None else tuple(id(v) for v in chosen(env, variables, ()))
    key = (what, asked, env._store.version, key_of(args), tuple([(a.shape, a.dtype) for a in arrays]))
    found = step._derived.get(key)
    if found is None:
        graph, returned = _traced(step, args, what, check)
        reads = {node.params["name"] for node in graph.nodes if node.of(variable)}
        found = Problem(step, args, chosen(env, variables, reads))
        found.returned = returned
        step._derived[key] = found
        if len(step._derived) > MAX_PROBLEMS:
            forget(step._derived.popitem(last=False)[1])
    step._derived.move_to_end(key)
    return found, arrays


def forget(derived: Any) -> None:
    """Stop what is being compiled for a problem, or for those of a compiled step."""
    if isinstance(derived, Problem):
        derived.forget()
    elif isinstance(derived, Compiled):
        for inner in derived._derived.values():
            forget(inner)


def _traced(step: Compiled, args: tuple[Any, ...], what: str, check: Callable[[Any], Any]) -> tuple[Graph, Any]:
    """What the step writes for these arguments, if it can be solved, and the shape of what it returns."""
    env, probe = step._env, _Probe(step._step, check)
    graph = env.trace(probe, *args)
    if probe.registered:  # layers register their variables at the first run
        env.run(step._step, *args)
    if any(node.of(assign) for node in graph.nodes):
        cure = "Return the loss or the residuals alone: SciPy moves the variables."
        raise GraphError(report(f"cannot {what} {step_name(step._step)}: it changes variables", at=here(), cure=cure))
    if draws(graph):
        cure = "Draw once, outside, and give the numbers as an argument; layers that drop take train=False."
        facts = ["SciPy compares the values at many points, and they would be those of as many functions."]
        what = f"cannot {what} {step_name(step._step)}: it draws random numbers"
        raise GraphError(report(what, at=here(), facts=facts, cure=cure))
    return graph, probe.returned


class _Probe:
    """The step, which looks at what it returns."""

    def __init__(self, step: Callable[..., Any], check: Callable[[Any], Any]) -> None:
        update_wrapper(self, step, updated=())  # arguments are called what the step calls them
        self.step, self.check, self.registered = step, check, 0
        self.returned: tuple[int, ...] = ()

    def __call__(self, ctx: Context, *given: Any) -> Any:
        before = len(ctx.env._store.variables)
        result = self.step(ctx, *given)
        self.registered = len(ctx.env._store.variables) - before
        self.check(result)
        self.returned = result.shape if isinstance(result, Tensor) else ()
        return result
