"""What a curve is fitted with: a function of tensors, or a step, and the variables that are its parameters."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any

import numpy as np

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, SpecError, VariableError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.movement import broadcast_to, reshape
from lazygrad.ops.solving import solve_triangular
from lazygrad.ops.source import numeric
from lazygrad.optimize.problem import Problem, Vector, forget
from lazygrad.step.called import step_name
from lazygrad.step.compiled import Compiled
from lazygrad.step.context import Context
from lazygrad.store.variables import Variable

__all__ = ["Model", "model_of"]

MAX_CURVES = 16  # plain functions of which the compiled steps are remembered, the one fitted last forgotten last
_curves: OrderedDict[Any, tuple[Compiled, Compiled]] = OrderedDict()


class Model:
    """A curve as compiled steps, and where its parameters start.

    Attributes:
        curve: the step that computes it.
        residuals: the step that computes its weighted distance from the data.
        plain: whether the user gave a plain function, whose parameters are variables of an environment of its own.
        paths: the variables that are its parameters, as the user names them.
    """

    def __init__(self, curve: Compiled, residuals: Compiled, plain: bool, paths: Any, p0: Any) -> None:
        self.curve, self.residuals, self.plain, self.paths, self._p0 = curve, residuals, plain, paths, p0
        self.env: VariableEnvironment = curve._env

    def start(self, x: Vector, problem: Problem) -> Vector:
        """The vector to start from, given the one at which the variables are."""
        if self._p0 is None:
            return x
        x = x.copy()
        if not isinstance(self._p0, Mapping):
            given = np.asarray(numeric(self._p0), dtype=np.float64)
            if given.shape != x.shape:
                facts = [f"p0:          {list(given.shape)}", f"parameters:  {list(x.shape)}"]
                cure = "Give one number for each parameter, in the order of registration, or a dict by name."
                raise DataError(report("p0 does not fit the parameters", at=here(), facts=facts, cure=cure))
            return given
        known = {v.path: (v, where) for v, where in zip(problem.variables, problem.shape.slices, strict=True)}
        for key, value in self._p0.items():
            path = key.path if isinstance(key, Variable) else key
            if path not in known:
                what = f"p0 has {path!r:.60}, which is not a parameter"
                raise VariableError(report(what, at=here(), cure=nearest(str(path), known)))
            v, where = known[path]
            array = np.asarray(numeric(value), dtype=np.float64)
            if array.shape != v.shape:
                facts = [f"parameter:  {v.spec}", f"p0:         {Spec(array.shape, array.dtype)}"]
                cure = "A start has the shape of its parameter."
                raise SpecError(report(f"p0 of {path!r} is of another shape", at=here(), facts=facts, cure=cure))
            x[where] = array.ravel()
        return x


def model_of(f: Any, p0: Any, variables: Any) -> Model:
    """The model of a compiled step, or of a plain function.

    Raises:
        DataError: ``f`` is no function, or ``p0`` does not fit its parameters.
    """
    if isinstance(f, Compiled):
        found = f._derived.get(Distance)
        if found is None:
            found = f._derived[Distance] = Compiled(f._env, Distance(f._step), f._wait)
        f._derived.move_to_end(Distance)
        return Model(f, found, False, variables, p0)
    if not callable(f):
        cure = "Give a function f(x, a, b), or a compiled step f(ctx, x)."
        raise DataError(report(f"cannot fit {f!r:.60}", at=here(), cure=cure))
    starts = _starts(f, p0)
    key = (_identity(f), *((name, start.shape) for name, start in starts.items()))
    if key not in _curves:
        env = VariableEnvironment(dtype="float64", seed=0)
        for name, start in starts.items():
            env.name(name).set(np.ones(start.shape))
        step = _Plain(f, list(starts))
        _curves[key] = env.compile(step), env.compile(Distance(step))
        if len(_curves) > MAX_CURVES:
            for old in _curves.popitem(last=False)[1]:
                forget(old)
    _curves.move_to_end(key)
    return Model(*_curves[key], True, list(starts), starts)


def _identity(f: Callable[..., Any]) -> Any:
    """What two functions share that are the same, such as a lambda that is written anew in each turn of a loop."""
    code = getattr(f, "__code__", None)
    if code is None or f.__closure__ or f.__defaults__ or f.__kwdefaults__ or isinstance(f, MethodType):
        return id(f)  # it lives as long as what is compiled of it
    return code, id(f.__globals__)


_known: OrderedDict[Any, tuple[Any, list[inspect.Parameter]]] = OrderedDict()


def _parameters(f: Callable[..., Any], identity: Any) -> list[inspect.Parameter]:
    """What a function takes after x; to ask Python costs as much as a small fit."""
    if identity not in _known:
        try:
            _, *parameters = inspect.signature(f).parameters.values()
        except (TypeError, ValueError):
            parameters = []
        _known[identity] = f, parameters
        if len(_known) > MAX_CURVES:
            _known.popitem(last=False)
    return _known[identity][1]


def _starts(f: Callable[..., Any], p0: Any) -> dict[str, Any]:
    """For each parameter of a plain function where it starts."""
    parameters = _parameters(f, _identity(f))
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if p0 is None:
        if not named or any(p.kind is p.VAR_POSITIONAL for p in parameters):
            cure = "Give p0=[...], a number or an array for each parameter."
            raise DataError(report(f"the parameters of {step_name(f)} are not known", at=here(), cure=cure))
        given: dict[str, Any] = dict.fromkeys(named, 1.0)
    elif isinstance(p0, Mapping):
        given = {name: p0[name] for name in named if name in p0}
        needed = [p.name for p in parameters if p.name in named and p.default is p.empty]
        wrong = [k for k in p0 if k not in named] + [k for k in needed if k not in p0]
        if wrong:
            facts = [f"p0:          {', '.join(map(str, p0))}", f"parameters:  {', '.join(named)}"]
            cure = "The keys of p0 are the names of the function's parameters."
            raise DataError(report(f"p0 does not fit {step_name(f)}: {wrong[0]!r}", at=here(), facts=facts, cure=cure))
    else:
        listed: Sequence[Any] = list(np.atleast_1d(p0)) if not isinstance(p0, (list, tuple)) else p0
        names = named if len(named) >= len(listed) else [*named, *(f"p{k}" for k in range(len(named), len(listed)))]
        needed = [p.name for p in parameters if p.name in named and p.default is p.empty]
        most = len(listed) if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(named)
        if not len(needed) <= len(listed) <= most:
            facts = [f"p0:          {len(listed)}", f"parameters:  {', '.join(named)}"]
            cure = "Give a number or an array for each parameter, in their order."
            raise DataError(report(f"p0 does not fit {step_name(f)}", at=here(), facts=facts, cure=cure))
        given = dict(zip(names, listed, strict=False))
    return {name: np.asarray(numeric(value), dtype=np.float64) for name, value in given.items()}


class _Plain:
    """A function of x and parameters as a step, whose parameters are variables."""

    def __init__(self, f: Callable[..., Any], names: Sequence[str]) -> None:
        self.f, self.names = f, list(names)
        self.__name__ = step_name(f)

    def __call__(self, ctx: Context, x: Any) -> Any:
        return self.f(x, *[ctx.variable(name) for name in self.names])


class Distance:
    """A step: how far a curve is from the data, in units of their errors.

    Args:
        curve: the step that computes the curve.
    """

    def __init__(self, curve: Callable[..., Any]) -> None:
        self.curve = curve
        self.__name__ = step_name(curve)

    def __call__(self, ctx: Context, x: Any, y: Tensor, weights: Tensor | None) -> Tensor:
        found = self.curve(ctx, x)
        if not isinstance(found, Tensor):
            cure = "Return the curve at x, one number for each datum, and nothing else."
            raise SpecError(report(f"{self.__name__} returns {found!r:.50}", at=here(), cure=cure))
        if found.shape != y.shape and found.size != 1:
            facts = [f"curve:  {found.spec}   {found.graph.describe(found.index)}", f"y:      {y.spec}"]
            cure = "Return one number for each datum, in the shape of y."
            raise SpecError(report(f"{self.__name__} is of another shape than y", at=here(), facts=facts, cure=cure))
        apart = (found if found.shape == y.shape else broadcast_to(reshape(found, ()), y.shape)) - y
        if weights is None:
            return apart
        return solve_triangular(weights, apart, lower=True) if weights.shape != y.shape else apart / weights
