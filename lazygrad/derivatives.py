"""Derivatives said with gradients: Jacobians, Hessians, and the user's own rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad.define import opaque
from lazygrad.errors import GradientError, report
from lazygrad.gradient import differentiable, grad, jvp, tensors_of
from lazygrad.kinds import tensors
from lazygrad.ops.movement import concat, reshape, stack
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.source import eye, full_like, zeros
from lazygrad.registry import here
from lazygrad.spec import kept
from lazygrad.tensor import Array, Tensor

__all__ = ["custom_gradient", "hessian", "hessian_vector_product", "jacobian", "stop_gradient"]


def jacobian(y: Tensor, x: Tensor) -> Tensor:
    """All first derivatives: shape ``y.shape + x.shape``.

    One reverse pass an element of ``y``, or one forward pass an element of ``x`` where those are fewer.
    """
    differentiable("the value", tensors_of("y", y))
    differentiable("with respect to", tensors_of("x", x))
    if y.size == 0 or x.size == 0:
        return zeros(y.shape + x.shape, y.dtype)
    if x.size < y.size:
        units = eye(x.size, dtype=x.dtype) if x.size > 1 else None
        columns = [
            jvp(y, x, reshape(units[i], x.shape) if units is not None else full_like(x, 1)) for i in range(x.size)
        ]
        return reshape(stack(columns, axis=-1), y.shape + x.shape)
    units = eye(y.size, dtype=y.dtype) if y.size > 1 else None
    rows = [grad(y, x, reshape(units[i], y.shape) if units is not None else None) for i in range(y.size)]
    return reshape(concat([reshape(r, (1, -1)) for r in rows]), y.shape + x.shape)


def hessian(y: Tensor, x: Tensor) -> Tensor:
    """All second derivatives of the scalar ``y``: shape ``x.shape + x.shape``.

    Raises:
        GradientError: ``y`` is not a single number.
    """
    if isinstance(y, Tensor) and y.size != 1:
        raise GradientError(report(f"cannot take the hessian of {y.spec}", at=here(), cure="Take it of one number."))
    return jacobian(grad(y, x), x)


def hessian_vector_product(y: Tensor, xs: Any, vs: Any) -> Any:
    """Second derivatives of ``y`` times ``vs``, without the matrix: forward over reverse.

    Returns:
        For each x a tensor of its shape, in a list if ``xs`` is one.
    """
    x_list = tensors_of("x", xs)
    pushed = jvp(grad(y, x_list), x_list, vs if isinstance(vs, (list, tuple)) else [vs])
    return pushed[0] if isinstance(xs, Tensor) else pushed


@opaque(shape=lambda y, *xs: y, vjp=lambda g, y, *operands: (g, *(None for _ in operands[1:])), dtype=kept)
def _with_gradient(xp: Any, *operands: Array) -> Any:
    """The first operand; the user said how to differentiate it for the others."""
    return operands[0]


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
        result: Tensor = _with_gradient(stop_gradient(y), *given)

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
            return (None, *listed)

        result.graph.rules[result.index] = pull
        return result

    with_gradient.__name__ = f.__name__
    with_gradient.__doc__ = f.__doc__
    return with_gradient
