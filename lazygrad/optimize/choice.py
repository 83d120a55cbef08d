"""Which variables are solved for, and what a step is given beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.derivative.gradient import gathered
from lazygrad.errors import DataError, SpecError, VariableError, report
from lazygrad.graph.graph import freeze
from lazygrad.graph.registry import here
from lazygrad.ops.source import numeric
from lazygrad.step.called import argument_names, is_array
from lazygrad.store.variables import Namespace, Variable
from lazygrad.trees import leaves, structure
from lazygrad.values.foreign import on_device

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["arrays_in", "chosen", "key_of", "names_in"]


def chosen(env: VariableEnvironment, variables: Any, reads: Collection[str]) -> list[Variable]:
    """The variables to solve for, in order.

    Args:
        env: the environment.
        variables: what the user gave: variables, names, namespaces, in any nesting; ``None`` for all that are
            trainable and that the step reads.
        reads: the paths of the variables that the step reads.

    Raises:
        VariableError: there is none of such a name, or of this environment, or one stands there twice.
        SpecError: one does not hold floating numbers.
        DataError: there are none.
    """
    if variables is None:
        found = [v for v in env if v.trainable and v.dtype.kind == "f" and v.path in reads]
        if not found:
            frozen = [repr(path) for path in sorted(reads)]
            facts = [f"it reads:  {', '.join(frozen[:8]) or 'none'}"]
            cure = "Read what is sought with ctx.variable(name), trainable, or name it with variables=[...]."
            raise DataError(report("the step reads no trainable variable", at=here(), facts=facts, cure=cure))
        return found
    found = []
    for _, given in leaves(variables if isinstance(variables, Namespace) else gathered(variables)):
        found += _named(env, given)
    for k, v in enumerate(found):
        if v in found[:k]:
            cure = "Name each variable once."
            raise VariableError(report(f"cannot solve for variable {v.path!r} twice", at=here(), cure=cure))
        if v.dtype.kind != "f":
            cure = "What is solved for moves continuously: leave it out."
            raise SpecError(report(f"cannot solve for {v!r}", at=here(), cure=cure))
    if not found:
        cure = "Set variable.trainable = True, or give its name, which solves for it all the same."
        raise DataError(report("there is no variable to solve for", at=here(), cure=cure))
    return found


def _named(env: VariableEnvironment, given: Any) -> list[Variable]:
    """The variables that an entry means; one that is not trainable is meant only by its name."""
    if isinstance(given, str):
        return [env._store.find(given)]
    if isinstance(given, Namespace):
        return [v for v in env._select(given.path, None) if v.trainable]
    if not isinstance(given, Variable):
        cure = "Give variables or their names, such as variables=['w', 'b'] or variables=network.variables."
        raise VariableError(report(f"cannot solve for {given!r:.60}", at=here(), cure=cure))
    if given._env is not env:
        cure = "Give variables of the environment for which the step was compiled."
        raise VariableError(report(f"cannot solve for {given!r}: it is of another environment", at=here(), cure=cure))
    return [given] if given.trainable else []


def arrays_in(args: tuple[Any, ...], backend: Any) -> list[Any]:
    """The arrays among the arguments of a step, as arrays of the backend."""
    found = []
    for _, leaf in leaves(args):
        if is_array(leaf):
            leaf = backend.taken(leaf) if on_device(leaf) else numeric(leaf, backend=backend)
            found.append(backend.xp.asarray(leaf, order="C"))
    return found


def names_in(step: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    """What the step calls those arrays."""
    named = zip(argument_names(step, len(args)), args, strict=True)
    return [path for name, value in named for path, leaf in leaves(value, name) if is_array(leaf)]


def key_of(args: tuple[Any, ...]) -> Any:
    """What remains of the arguments without their arrays: how they are nested, and the values of the others.

    Raises:
        DataError: one of them is neither an array nor hashable.
    """
    try:
        key = (structure(args), *(_ARRAY if is_array(leaf) else freeze(leaf) for _, leaf in leaves(args)))
        hash(key)
    except (TypeError, ValueError):
        cure = "Arguments are arrays, or what can be hashed, such as numbers and strings."
        raise DataError(report("cannot use an argument of the step", at=here(), cure=cure)) from None
    return key


_ARRAY = np.ndarray  # stands for any array
