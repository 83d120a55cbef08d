"""Derivatives said with gradients: Jacobians, Hessians, and the user's own rules."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any, overload

from lazygrad.define import opaque
from lazygrad.define.kinds import tensors
from lazygrad.derivative.gradient import differentiable, gathered, grad, jvp, tensors_of
from lazygrad.derivative.rows import check_rows, jacobians_of_rows
from lazygrad.errors import GradientError, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import kept
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.movement import concat, reshape, stack
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.source import eye, full_like, zeros
from lazygrad.store.variables import Variable
from lazygrad.trees import rebuilt

__all__ = ["custom_gradient", "hessian", "hessian_vector_product", "jacobian", "stop_gradient", "with_rule"]


@overload
def jacobian(y: Tensor, x: Tensor | Variable, *, batched: bool = False) -> Tensor: ...
@overload
def jacobian(y: Any, x: Any, *, batched: bool = False) -> Any: ...
def jacobian(y: Any, x: Any, *, batched: bool = False) -> Any:
    """All first derivatives: shape ``y.shape + x.shape``; ``batched``, of each row: ``y.shape + x.shape[1:]``.

    One reverse pass an element of ``y``, or one forward pass an element of ``x`` where those are fewer. ``batched``, as
    many passes as a row of ``y``, or of ``x``, has elements, each for all rows at once.

    Args:
        y: a tensor, or several in tuples, lists and dicts, in any nesting.
        x: a tensor or a variable, or several likewise, such as ``network.variables``.
        batched: whether the first axis of every y and x is that of the examples, and row i of y depends on row i of x
            alone. Then ``found[i]`` is the Jacobian of ``y[i]`` for ``x[i]``. Where rows depend on others, as behind
            ``BatchNorm`` while it trains, it is none: derivatives of several rows are added up.

    Returns:
        The Jacobian; of several they are nested as ``y`` are, and in place of each y as ``x`` are.

    Raises:
        GradientError: something is not differentiable.
        SpecError: ``batched``, and there are not as many rows of one as of the others.
    """
    y, x = gathered(y), gathered(x)
    y_list = tensors_of("y", y)
    x_list = tensors_of("x", x, y_list)
    differentiable("the value", y_list)
    differentiable("with respect to", x_list)
    if batched:
        check_rows("the jacobian", y_list, x_list)
    made = jacobians_of_rows if batched else _jacobians
    return rebuilt(y, [rebuilt(x, made(one, x_list)) for one in y_list])


def _jacobians(y: Tensor, xs: list[Tensor]) -> list[Tensor]:
    """The Jacobian of ``y`` for each x; passes backwards are shared by all of them."""
    if y.size and 0 < builtins.sum(x.size for x in xs) < y.size:
        return [_forward(y, x) for x in xs]
    units = eye(y.size, dtype=y.dtype) if y.size > 1 else None
    rows = [grad(y, xs, reshape(units[i], y.shape) if units is not None else None) for i in range(y.size)]
    return [
        reshape(concat([reshape(row[k], (1, -1)) for row in rows]), y.shape + x.shape)
        if y.size and x.size
        else zeros(y.shape + x.shape, y.dtype)
        for k, x in enumerate(xs)
    ]


def _forward(y: Tensor, x: Tensor) -> Tensor:
    """The Jacobian, column by column."""
    if not x.size:
        return zeros(y.shape + x.shape, y.dtype)
    units = eye(x.size, dtype=x.dtype) if x.size > 1 else None
    columns = [jvp(y, x, reshape(units[i], x.shape) if units is not None else full_like(x, 1)) for i in range(x.size)]
    return reshape(stack(columns, axis=-1), y.shape + x.shape)


@overload
def hessian(y: Tensor, x: Tensor | Variable, *, batched: bool = False) -> Tensor: ...
@overload
def hessian(y: Tensor, x: Any, *, batched: bool = False) -> Any: ...
def hessian(y: Tensor, x: Any, *, batched: bool = False) -> Any:
    """All second derivatives of the scalar ``y``: shape ``x.shape + x.shape``.

    ``batched``, those of each row, as for :func:`jacobian`: shape ``x.shape + x.shape[1:]``.

    Args:
        y: a tensor of one number; ``batched``, of one a row.
        x: a tensor or a variable, or several in tuples, lists and dicts, in any nesting. The derivatives for each
            two of them are then nested as ``x`` are, and in place of each x so again.
        batched: whether the first axis of y and of every x is that of the examples, and row i of y depends on row i of
            x alone.

    Raises:
        GradientError: ``y`` is not a single number, or not one a row.
        SpecError: ``batched``, and there are not as many rows of one as of the others.
    """
    x = gathered(x)
    if batched and isinstance(y, Tensor):
        check_rows("the hessian", [y], tensors_of("x", x, [y]))
        if math.prod(y.shape[1:]) != 1:
            what = f"cannot take the hessian of each row of {y.spec}"
            raise GradientError(report(what, at=here(), cure="Take it of one number a row."))
    elif isinstance(y, Tensor) and y.size != 1:
        raise GradientError(report(f"cannot take the hessian of {y.spec}", at=here(), cure="Take it of one number."))
    return jacobian(grad(y, x), x, batched=batched)


def hessian_vector_product(y: Tensor, xs: Any, vs: Any) -> Any:
    """Second derivatives of ``y`` times ``vs``, without the matrix: forward over reverse.

    Args:
        y: a tensor.
        xs: a tensor or a variable, or several in tuples, lists and dicts, in any nesting.
        vs: for each x a direction of its shape, nested as ``xs`` are.

    Returns:
        For each x a tensor of its shape, nested as ``xs`` are.
    """
    xs = gathered(xs)
    return jvp(grad(y, xs), xs, vs)


@opaque(shape=lambda y, *xs: y, vjp=lambda g, y, *operands: (g, *(None for _ in operands[1:])), dtype=kept)
def _with_gradient(xp: Any, *operands: Array) -> Any:
    """The first operand; the user said how to differentiate it for the others."""
    return operands[0]


def with_rule(value: Tensor, operands: list[Tensor], rule: Callable[..., Any]) -> Tensor:
    """``value``, whose derivative is what the rule says.

    Args:
        value: the result; its own derivative does not count.
        operands: what it is a function of.
        rule: ``rule(g, y, *operands)``, the cotangents of the operands, from that of the result ``y``; None for zeros.
    """
    result: Tensor = _with_gradient(stop_gradient(value), *operands)
    result.graph.rules[result.index] = lambda g, y, _, *xs: (None, *rule(g, y, *xs))
    return result


def _pair(f: Callable[..., Any], returned: Any) -> tuple[Any, Callable[[Tensor], Any]]:
    if not isinstance(returned, tuple) or len(returned) != 2 or not callable(returned[1]):
        got = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else f"{type(returned).__name__}"
        cure = "Return the value and a function, from its cotangent to those of the operands."
        raise GradientError(report(f"cannot use the gradient of {f.__name__}: it returned {got}", at=here(), cure=cure))
    return returned


def custom_gradient(f: Callable[..., tuple[Tensor, Callable[[Tensor], Any]]]) -> Callable[..., Tensor]:
    """A function of tensors with a derivative of the user's own.

    ``f(*xs)`` returns the value ``y`` and a function that takes the cotangent of ``y`` and returns the
    cotangents of ``xs``: one, or a tuple, with ``None`` for zero::

        @lg.custom_gradient
        def clipped(x):
            return x, lambda g: lg.clip(g, -1, 1)

    Raises:
        GradientError: the function returned by ``f`` gives another number of cotangents than there are xs.
    """

    def with_gradient(*xs: Any) -> Tensor:
        given = tensors(*xs)
        y, backward = _pair(f, f(*given))

        def pull(g: Tensor, _: Tensor, *operands: Tensor) -> Any:
            pulled = backward(g)
            listed = pulled if isinstance(pulled, (tuple, list)) else (pulled,)
            if len(listed) != len(given):
                raise GradientError(
                    report(
                        f"cannot use the gradient of {f.__name__}: it gave {len(listed)} cotangents "
                        f"for {len(given)} operands",
                        at=result.origin,
                    )
                )
            return listed

        result = with_rule(y, given, pull)
        return result

    with_gradient.__name__ = f.__name__
    with_gradient.__doc__ = f.__doc__
    return with_gradient
