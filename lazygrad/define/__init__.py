"""The kinds of op that are declared by a function, as decorators, and what each kind supplies.

An op is one declaration: an ordinary function of an array namespace ``xp``, with its derivative beside
it. With ``xp = numpy`` the function computes, with ``xp = cupy`` it computes on the GPU, and with
``xp`` a recorder, running it writes the code of a compiled step::

    @elementwise(vjp=lambda g, y, x: g * y)
    def exp(xp, x):
        \"\"\"Natural exponential, eˣ.\"\"\"
        return xp.exp(x)

Positional parameters are operands, that is tensors. Parameters after ``*``, with a default, or
annotated with anything but ``Array`` are settings, which are fixed in the node. A kernel whose first
parameter is ``rng`` in place of ``xp`` draws random numbers.

``vjp`` gives the cotangent of each operand from the cotangent ``g`` of the result ``y``: one function for
one operand, a tuple of functions for several, one function that returns a tuple for ``*xs``. In place of
a function, :data:`flat` says that the derivative is zero wherever it exists; ``None`` says that there is
none, and asking for it is an error. Rules are written with public functions and Tensor operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np

from lazygrad.define.kinds import Declared, Elementwise, Movement, Opaque, Reduction, Rules, Source, View, flat, tensor
from lazygrad.graph.spec import DtypeRule, Mismatch, Shape, boolean, floating, kept, promoted
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.names import publish as _publish

__all__ = [
    "Array",
    "Mismatch",
    "boolean",
    "elementwise",
    "flat",
    "floating",
    "kept",
    "movement",
    "opaque",
    "promoted",
    "reduction",
    "source",
    "squared",
    "squares",
    "tensor",
]

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

# The decorators. Each keeps the kernel's signature, less ``xp``, for editors and type checkers. What they
# say of several results is that they are one Tensor; it is unpacked like a tuple.


def elementwise(
    *, vjp: Rules = None, jvp: Rules = None, dtype: DtypeRule | None = None
) -> Callable[[Callable[Concatenate[Any, P], Any]], Callable[P, Tensor]]:
    """An op that computes every element of its result from the elements at the same place.

    Args:
        vjp: the cotangent of each operand, as if all had the result's shape.
        jvp: not needed: it follows from ``vjp``.
        dtype: how operands and result get their dtypes; without it as NumPy's ufunc of the same name,
            else by promotion.

    Raises:
        DefinitionError: the kernel has no docstring, or a rule does not fit its signature.
    """
    return lambda kernel: cast(Callable[P, Tensor], Elementwise(kernel, vjp, jvp, dtype))


def squared(rule: Callable[..., Any]) -> Callable[[F], F]:
    """Of an op with corners: the square of its result, as a formula of its operands that is smooth there.

    What squares the result has the derivatives of that formula. The rule may return None: there is none for these
    settings.
    """

    def declare(op: F) -> F:
        cast(Declared, op).squared = rule
        return op

    return declare


def squares(op: F) -> F:
    """Of an op whose result may be a square of its operand: squares of corners are looked for where it is written."""
    cast(Declared, op).squares = True
    return op


def stored(op: F) -> F:
    """Of an op that makes things small: native code keeps its result, and never its operand, to compute it again."""
    cast(Declared, op).stored = True
    return op


def fills(rule: Callable[..., Any]) -> Callable[[F], F]:
    """Of a movement that is no view: which part of its result each operand fills, as views of the result.

    ``rule(result, *shapes, **settings)`` is asked of lazygrad's own movements; what others do is seen by running them.
    """

    def declare(op: F) -> F:
        cast(Declared, op).fills = rule
        return op

    return declare


def reduction(
    *,
    vjp: Rules = None,
    jvp: Rules = None,
    dtype: Callable[[np.dtype[Any]], Any] | None = None,
    identity: Any = None,
    combine: Callable[..., Any] | None = None,
    linear: bool = False,
) -> Callable[[Callable[Concatenate[Any, P], Any]], Callable[P, Tensor]]:
    """An op that combines the elements along ``axis``; the kernel takes ``axis`` and ``keepdims``.

    The kernel never sees halves: they are cast to float32 before it, and the result is cast back.

    Args:
        vjp, jvp: derivatives.
        dtype: the result's dtype from the operand's; without it they are the same.
        identity: the value over no elements; ``None`` if there is none.
        combine: the op that joins the results of two parts.
        linear: whether the op is linear.
    """
    return lambda kernel: cast(Callable[P, Tensor], Reduction(kernel, vjp, jvp, dtype, identity, combine, linear))


def movement(
    *, shape: Callable[..., Shape], vjp: Rules = None, view: View = None
) -> Callable[[Callable[Concatenate[Any, P], Any]], Callable[P, Tensor]]:
    """An op that moves or repeats elements.

    Args:
        shape: ``shape(*shapes, **settings)``, the result's shape.
        vjp: the cotangent of each operand.
        view: ``"always"`` if the kernel returns a view of its operand's memory, whatever its strides;
            ``"contiguous"`` if it does where that memory is contiguous; ``None`` if it may copy.
    """
    return lambda kernel: cast(Callable[P, Tensor], Movement(kernel, vjp, shape, view))


def opaque(
    *,
    shape: Callable[..., Shape | list[Shape]],
    vjp: Rules = None,
    jvp: Rules = None,
    dtype: DtypeRule | None = None,
    linear: bool = False,
    pure: bool = True,
    recorded: bool = False,
    adds: bool = False,
) -> Callable[[Callable[Concatenate[Any, P], Any]], Callable[P, Tensor]]:
    """An op that is never looked into, such as a call of a library.

    Args:
        shape: ``shape(*shapes, **settings)``, the result's shape, or a list of them.
        vjp, jvp: derivatives. Where there are several results, ``g`` and ``y`` are tuples, and a
            result that nothing depends on has a cotangent of zeros.
        dtype: as for :func:`elementwise`.
        linear: whether it is linear in all its operands together.
        pure: whether evaluating it does nothing but compute its result. What is not pure happens in every run, in the
            order of the step's lines, whether or not something reads its result.
        recorded: whether the kernel may be run with a recorder after all, because it is one call of a
            function of ``xp`` that can write into an array given to it.
        adds: whether it adds numbers up: then the kernel never sees halves. They are cast to float32 before it,
            and the result is cast back.
    """
    return lambda kernel: cast(
        Callable[P, Tensor], Opaque(kernel, vjp, jvp, shape, dtype, linear, pure, recorded, adds)
    )


def source(*, given: bool = False) -> Callable[[Callable[..., Any]], Source]:
    """An op without operands, whose spec is its settings ``shape`` and ``dtype``.

    A ``given`` source has no numbers of its own: whoever runs the plan gives it its array.
    """
    return lambda kernel: Source(kernel, given)


_publish(__name__, "lg.define", advised=False)  # ")
