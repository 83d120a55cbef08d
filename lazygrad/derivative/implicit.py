"""Derivatives of what an equation defines: solutions, equilibria, minima."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.define import elementwise, opaque
from lazygrad.define.kinds import tensors
from lazygrad.derivative.gradient import grad
from lazygrad.derivative.jacobian import jacobian, stop_gradient, with_rule
from lazygrad.errors import DefinitionError, GradientError, SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Shape, floating, kept
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.movement import reshape
from lazygrad.ops.solving import solve as solve_linear
from lazygrad.ops.source import variable

__all__ = ["implicit"]


def implicit(
    solve: Callable[..., Any],
    residual: Callable[..., Tensor],
    *,
    shape: Shape | Callable[..., Shape] | None = None,
    elementwise: bool = False,
) -> Callable[..., Tensor]:
    """A function of tensors that is defined by an equation: ``x`` such that ``residual(x, *parameters)`` is zero.

    However ``solve(*parameters)`` finds it, its derivative follows from the equation, by the implicit function theorem:
    with r the residual, dx = −(∂r/∂x)⁻¹ (∂r/∂parameters) dparameters. It is exact to the solver's tolerance, needs
    nothing of the way to the solution, and has derivatives of every order, reverse and forward::

        def kepler(E, e, M):
            return E - e * lg.sin(E) - M

        def newton(e, M):
            return scipy.optimize.newton(lambda E: E - e * np.sin(E) - M, M)

        anomaly = lg.implicit(newton, kepler, shape=lambda e, M: M, elementwise=True)
        E = anomaly(e, M)            # in a step: a tensor

    Args:
        solve: finds the solution. It is written with ``lg``'s functions, and its tensors are not differentiated; or,
            where ``shape`` is given, it is a function of NumPy arrays that is called in every run.
        residual: written with ``lg``'s functions; of the shape of ``x``. All that it depends on and that has a
            derivative are its arguments: other tensors that it reads count as constants, and variables are refused.
        shape: of the solution that ``solve`` finds of arrays: a shape, or a function of the shapes of the parameters.
        elementwise: whether each number of the residual depends on the number of ``x`` at its place alone. Then the
            derivative costs one pass and a division, in place of a pass for each number and a linear system.

    Returns:
        A function of the parameters, tensors or numbers, that gives the solution as a tensor.

    Raises:
        DefinitionError: one of the two is not a function.
        SpecError: when it is called: the residual is of another shape than the solution.
        GradientError: when it is differentiated: the residual reads a variable that is not among its arguments.
    """
    for what, given in (("solve", solve), ("residual", residual)):
        if not callable(given):
            cure = "Give lg.implicit(solve, residual): solve(*parameters) finds x, residual(x, *parameters) is then 0."
            raise DefinitionError(report(f"{what} is {given!r:.60}, not a function", at=here(), cure=cure))
    find = solve if shape is None else _of_arrays(solve, shape)

    def solution(*parameters: Any) -> Tensor:
        given = tensors(*parameters)
        x = find(*[stop_gradient(p) for p in given])
        if not isinstance(x, Tensor):
            cure = "Write it with lg's functions, or say shape=: then it is called with arrays."
            raise SpecError(report(f"solve gives {x!r:.60}, not a tensor", at=here(), cure=cure))
        _check(residual(stop_gradient(x), *map(stop_gradient, given)), x)

        def rule(g: Tensor, y: Tensor, *operands: Tensor) -> Any:
            y, *apart = [_apart(t) for t in (y, *operands)]  # what r depends on by itself, not through the solution
            r = residual(y, *apart)
            _check_closed(r, [y, *apart])
            w = _adjoint(r, y, g, elementwise)
            floats = [p for p in apart if p.dtype.kind == "f"]
            found = iter(grad(r, floats, -w))
            return tuple(next(found) if p.dtype.kind == "f" else None for p in apart)

        return with_rule(x, given, rule)

    solution.__name__ = getattr(solve, "__name__", "solution")
    solution.__doc__ = getattr(solve, "__doc__", None)
    return solution


@elementwise(vjp=lambda g, y, x: g, dtype=kept)
def _apart(xp: Any, x: Array) -> Any:
    """The operand, as a node of its own: what is computed from it can be told from what is computed otherwise."""
    return x


def _adjoint(r: Tensor, x: Tensor, g: Tensor, elementwise: bool) -> Tensor:
    """w with (∂r/∂x)ᵀ w = g, of the shape of r."""
    if elementwise:
        return g / grad(r, x)
    J = reshape(jacobian(r, x), (r.size, x.size))
    return reshape(solve_linear(J.T, reshape(g, (-1,))), r.shape)


def _of_arrays(solve: Callable[..., Any], shape: Any) -> Callable[..., Tensor]:
    """A solver of arrays as an op."""

    def rule(*shapes: Shape) -> Shape:
        found = shape(*shapes) if callable(shape) else shape
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)

    def kernel(xp: Any, *parameters: Array) -> Any:
        """What the user's solver finds."""
        own = [p.get() if hasattr(p, "get") else p.copy() for p in parameters]  # of NumPy, which it may change
        found = xp.asarray(solve(*own), dtype=parameters[0].dtype)
        wanted = rule(*[p.shape for p in parameters])
        if found.shape != wanted:
            facts = [f"found:  {list(found.shape)}", f"shape:  {list(wanted)}"]
            cure = "Say with shape= of which shape the solution is."
            raise SpecError(report(f"{name} finds a solution of another shape", facts=facts, cure=cure))
        return found

    name = kernel.__name__ = getattr(solve, "__name__", "solve")
    kernel.__module__ = getattr(solve, "__module__", None) or "__main__"  # it is the user's, and looked at as such
    return opaque(shape=rule, dtype=floating)(kernel)


def _check(r: Any, x: Tensor) -> None:
    if not isinstance(r, Tensor) or r.shape != x.shape or r.dtype.kind != "f":
        facts = [f"solution:  {x.spec}", f"residual:  {r.spec if isinstance(r, Tensor) else repr(r)[:60]}"]
        cure = "There is one equation for each number of the solution."
        raise SpecError(report("the residual is not like the solution", at=here(), facts=facts, cure=cure))


def _check_closed(r: Tensor, arguments: Sequence[Tensor]) -> None:
    """Raise GradientError if the residual depends on a variable otherwise than through its arguments."""
    graph, ends = r.graph, {t.index for t in arguments}
    seen, stack = set(ends), [r.index]
    while stack:
        i = stack.pop()
        if i in seen:
            continue
        seen.add(i)
        node = graph.nodes[i]
        if node.of(variable) and graph.tensor(i).dtype.kind == "f":
            facts = [f"variable:  {node.params['name']!r}   {node.spec}"]
            cure = "Give it to the residual and to the solution as an argument, or hold it constant: lg.stop_gradient."
            what = "cannot differentiate a solution: its residual reads a variable that is not among its arguments"
            raise GradientError(report(what, at=graph.origins[r.index], facts=facts, cure=cure))
        if not node.of(stop_gradient):
            stack += node.inputs
