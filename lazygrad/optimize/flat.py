"""Steps of one vector: what a user's step computes of its variables, as a function of all of them in a row."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from lazygrad.derivative.gradient import grad, jvp
from lazygrad.derivative.jacobian import jacobian
from lazygrad.errors import GraphError, SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.movement import astype, concat, reshape
from lazygrad.ops.products import vecdot
from lazygrad.step.called import is_array, step_name
from lazygrad.step.context import Context
from lazygrad.step.evaluator import Update
from lazygrad.store.variables import Variable
from lazygrad.trees import leaves, rebuilt

__all__ = [
    "Flat",
    "Shape",
    "backward",
    "called",
    "curvature",
    "dense_jacobian",
    "forward",
    "hessian_product",
    "loss_of",
    "residuals",
    "residuals_of",
    "value",
    "value_and_gradient",
    "without_arrays",
]


class Shape:
    """Variables, and where each of them lies in the vector of all."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = list(variables)
        sizes = [math.prod(v.shape) for v in variables]
        self.slices = [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]
        self.size = sum(sizes)

    def cut(self, vector: Tensor) -> list[Tensor]:
        """The parts of a vector, in the shapes and dtypes of the variables."""
        parts = [vector] if len(self.slices) == 1 else [vector[where] for where in self.slices]
        return [reshape(astype(p, v.dtype), v.shape) for p, v in zip(parts, self.variables, strict=True)]


class Flat:
    """A step ``(ctx, x, *directions, *arrays)``: what ``write`` makes of the user's, its variables read from ``x``.

    Args:
        step: the user's step.
        args: its arguments, :func:`without_arrays`: in place of these there are those that this step is called with.
        shape: the variables.
        write: ``write(result, parts, *directions)``: what is computed of what the step returned.
        directions: how many vectors stand between ``x`` and the arrays.
    """

    def __init__(
        self, step: Callable[..., Any], args: Any, shape: Shape, write: Callable[..., Any], directions: int = 0
    ) -> None:
        self.step = step
        self.__name__ = step_name(step)
        names = [inspect.Parameter("ctx", _PLAIN), inspect.Parameter("x", _PLAIN)]
        self.__signature__ = inspect.Signature([*names, inspect.Parameter("arrays", inspect.Parameter.VAR_POSITIONAL)])

        def written(step: Callable[..., Any], ctx: Context, x: Tensor, given: Sequence[Tensor]) -> Any:
            parts = shape.cut(x)
            for v, part in zip(shape.variables, parts, strict=True):
                ctx._let(v, part)
            return write(called(step, ctx, args, given[directions:]), parts, *given[:directions])

        self._written = written

    def __call__(self, ctx: Context, x: Tensor, *given: Tensor) -> Any:
        """What is computed, written into the graph."""
        return self._written(self.step, ctx, x, given)  # little is read of self: each call compares it with what it was


_PLAIN = inspect.Parameter.POSITIONAL_OR_KEYWORD
_ARRAY = object()  # where an array stood among the arguments


def without_arrays(args: Any) -> Any:
    """The arguments of a step, with something that stands for each array in its place."""
    return rebuilt(args, [_ARRAY if is_array(leaf) else leaf for _, leaf in leaves(args)])


def called(step: Callable[..., Any], ctx: Context, args: Any, arrays: Sequence[Tensor]) -> Any:
    """The step, called with tensors in place of the arrays among its arguments."""
    rest = iter(arrays)
    return step(ctx, *rebuilt(args, [next(rest) if leaf is _ARRAY else leaf for _, leaf in leaves(args)]))


# What is written: of a loss ...


def value(result: Any, parts: list[Tensor]) -> Tensor:
    """The loss."""
    return wide(loss_of(result))


def value_and_gradient(result: Any, parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The loss and its gradient."""
    loss = loss_of(result)
    return wide(loss), joined(grad(loss, parts))


def hessian_product(result: Any, parts: list[Tensor], v: Tensor, shape: Shape) -> Tensor:
    """Second derivatives of the loss times ``v``: forward over reverse."""
    return joined(jvp(grad(loss_of(result), parts), parts, shape.cut(v)))


# ... and of residuals.


def residuals(result: Any, parts: list[Tensor]) -> Tensor:
    """All residuals in a row."""
    return wide(residuals_of(result))


def dense_jacobian(result: Any, parts: list[Tensor]) -> Tensor:
    """The matrix of their first derivatives, a row for each."""
    r = residuals_of(result)
    blocks = [reshape(wide(block), (r.size, -1)) for block in jacobian(r, parts)]
    return blocks[0] if len(blocks) == 1 else concat(blocks, axis=1)


def forward(result: Any, parts: list[Tensor], v: Tensor, shape: Shape) -> Tensor:
    """That matrix times ``v``."""
    return wide(jvp(residuals_of(result), parts, shape.cut(v)))


def backward(result: Any, parts: list[Tensor], u: Tensor) -> Tensor:
    """Its transpose times ``u``."""
    r = residuals_of(result)
    return joined(grad(r, parts, astype(u, r.dtype)))


def curvature(result: Any, parts: list[Tensor], v: Tensor, u: Tensor, shape: Shape) -> Tensor:
    """The second derivatives of the residuals' product with ``u``, times ``v``."""
    r = residuals_of(result)
    return joined(jvp(grad(vecdot(r, astype(u, r.dtype)), parts), parts, shape.cut(v)))


def wide(x: Tensor) -> Tensor:
    """In float64, as SciPy computes."""
    return astype(x, "float64")


def joined(parts: Sequence[Tensor]) -> Tensor:
    """The parts in a row."""
    rows = [reshape(wide(part), (-1,)) for part in parts]
    return rows[0] if len(rows) == 1 else concat(rows)


def loss_of(result: Any) -> Tensor:
    """The loss that a step returned, without axes.

    Raises:
        SpecError: it is not a single floating number.
        GraphError: there is something else beside it.
    """
    if not isinstance(result, Tensor):
        raise _not_alone(result, "the loss", "return lg.mean(lg.square(error))")
    if result.size != 1 or result.dtype.kind != "f":
        facts = [f"loss:  {result.spec}   {result.graph.describe(result.index)}"]
        cure = "Return one number, such as lg.mean(loss)."
        if result.dtype.kind == "f":
            cure = "Return one number, such as lg.mean(loss); residuals are for lg.optimize.least_squares."
        raise SpecError(
            report("cannot minimize what is not a single floating number", at=here(), facts=facts, cure=cure)
        )
    return reshape(result, ())


def residuals_of(result: Any) -> Tensor:
    """The numbers that a step returned, one tensor or several, in a row.

    Raises:
        SpecError: they are not floating numbers.
        GraphError: there is something else beside them.
    """
    found = [leaf for _, leaf in leaves(result)]
    if not found or not all(isinstance(leaf, Tensor) for leaf in found):
        raise _not_alone(result, "the residuals", "return model(x) - y")
    for r in found:
        if r.dtype.kind != "f":
            facts = [f"returned:  {r.spec}   {r.graph.describe(r.index)}"]
            cure = "They are floating numbers: cast with .astype('float64')."
            raise SpecError(report("cannot solve for what is not floating", at=here(), facts=facts, cure=cure))
    rows = [reshape(r, (-1,)) for r in found]
    return rows[0] if len(rows) == 1 else concat(rows)


def _not_alone(result: Any, what: str, such_as: str) -> GraphError:
    kinds = [leaf for _, leaf in leaves(result) if not isinstance(leaf, Tensor)]
    shown = "an update op" if any(isinstance(k, Update) for k in kinds) else f"{type(result).__name__} {result!r:.50}"
    cure = f"SciPy makes the updates: return {what} alone, such as `{such_as}`."
    return GraphError(report(f"the step returns {shown}, not only {what}", at=here(), cure=cure))
