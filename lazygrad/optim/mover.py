"""What everything that moves variables shares: what it may be given, and the update op that it makes of that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.derivative.gradient import Section, gathered, grad
from lazygrad.environment import VariableEnvironment
from lazygrad.errors import GradientError, GraphError, SpecError, VariableError, nearest, report
from lazygrad.graph.casting import working
from lazygrad.graph.graph import current_graph
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.source import source_of, variable
from lazygrad.step.context import Context
from lazygrad.step.evaluator import Update
from lazygrad.store.variables import Variable
from lazygrad.trees import aligned, leaves

__all__ = ["Change", "Mover", "path_of"]

Change: TypeAlias = tuple["Tensor | Variable", Tensor]  # what is assigned to, and its new value
# What other libraries call it.
ELSEWHERE = {
    "lr": "optimizer.learning_rate",
    "param_groups": "optimizer.rates, of what was given as rates={name: rate}",
    "zero_grad": "nothing: a gradient belongs to one call of a step",
    "state_dict": "env.save(path): the state is variables of the environment",
}
UNFREEZE = "Set variable.trainable = True, or give the variable's name, ctx.variable(name), to move it all the same."


class Mover:
    """The base of all that moves variables: optimizers, and what is wrapped around them.

    A subclass says in ``_changes`` which variables get which new values. Its state is variables of the environment
    below its name, not trainable, so it is saved with them.
    """

    wants_loss: bool = False  # whether it needs the loss beside its gradients
    env: VariableEnvironment
    name: str

    def update(self, variables: Any, grads: Any) -> Update:
        """An update op that moves ``variables`` by one step along ``grads``.

        Nothing happens until it is pushed and run, or returned from the step.

        Args:
            variables: tensors from ``ctx.variable``, variables, or names; one, or several in lists, tuples and
                dicts, in any nesting, such as ``network.variables``. A variable that is not trainable, such as a
                running statistic or a frozen weight, is left alone, and so is its gradient; one that is named, or
                given as a tensor, is moved. A weight that several layers share may stand there more than once,
                with the one gradient that ``lg.grad`` gives for it.
            grads: for each a gradient of its shape, nested likewise.

        Raises:
            GraphError: one of the variables is not a variable, stands there twice, or belongs to another
                environment or call.
            SpecError: the numbers of variables and gradients differ, or their shapes, or a variable does
                not hold floating numbers.
            VariableError: a rule of the optimizer names no variable.
        """
        context: Context = current_graph(f"update with {self.name}").context
        mover = self._at_home(context)
        if mover is not self:
            return mover.update(variables, grads)
        nested = gathered(variables)
        variables, grads = [_here(context, v) for _, v in leaves(nested)], aligned(nested, gathered(grads))
        if len(variables) != len(grads):
            what = f"cannot update {len(variables)} variables with {len(grads)} gradients"
            raise SpecError(report(what, at=here(), cure="Give one gradient for each variable, in the same order."))
        moved = [(v, g) for v, g in _unshared(variables, grads) if not _is_left_alone(v)]
        targets = self._targets(context, [v for v, _ in moved])
        if variables and not moved:
            what = f"cannot update: none of the {len(variables)} variables is trainable"
            raise GradientError(report(what, at=here(), cure=UNFREEZE))
        return self._moved(context, targets, [g for _, g in moved], None)

    def minimize(self, loss: Tensor, variables: Any = None) -> Update:
        """An update op that moves ``variables``, or every trainable one, along the gradient of ``loss``.

        Args:
            loss: a tensor.
            variables: as for :meth:`update`; of ``network.variables`` those are moved that are trainable. A weight
                that several layers share may stand there more than once.

        Raises:
            GradientError: the loss has no gradient, or there is no variable that it could be taken for.
            GraphError, SpecError, VariableError: as :meth:`update`.
        """
        if not isinstance(loss, Tensor):
            cure = "Give the loss as a tensor of this step."
            raise GraphError(report(f"cannot minimize {loss!r:.60}: it is not a tensor", at=here(), cure=cure))
        context: Context = loss.graph.context
        if context is None:
            cure = "A tensor lives as long as the call of the step that made it: write the update in that call."
            raise GraphError(report("cannot minimize: the graph of this tensor is finished", at=here(), cure=cure))
        mover = self._at_home(context)
        if mover is not self:
            return mover.minimize(loss, variables)
        if variables is None:
            given: list[Any] = self.env._select(None, True)
        else:
            given = [_here(context, v) for _, v in leaves(gathered(variables))]
            given = [v for v, _ in _unshared(given, [None] * len(given))]
        targets = self._targets(context, [v for v in given if not _is_left_alone(v)])
        if given and not targets:
            what = f"cannot minimize: none of the {len(given)} variables is trainable"
            raise GradientError(report(what, at=here(), cure=UNFREEZE))
        if not targets:
            cure = "Register a variable with env.name(name).set(array), or name those that shall change."
            raise GradientError(report("cannot minimize: there is no trainable variable", at=here(), cure=cure))
        return self._moved(context, targets, grad(loss, targets), loss)

    def _moved(self, context: Context, targets: list[Tensor], grads: Sequence[Any], loss: Tensor | None) -> Update:
        """The update of variables that have been looked at."""
        graph = context.graph
        gradients = [self._gradient(context, p, g) for p, g in zip(targets, grads, strict=True)]
        loss = loss if self.wants_loss else None
        used = tuple([t.index for t in [*targets, *gradients, *([loss] if loss is not None else [])]])

        def write() -> list[Tensor]:
            changes = self._changes(context, targets, gradients, loss)
            return [t for target, new in changes for t in context.assign(target, new).assignments]

        with Section(graph, "update"):
            return Update(graph.replay(self._key(), used, write))

    def _changes(
        self, context: Context, targets: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor | None
    ) -> Iterable[Change]:
        """What changes: the targets, and the state; each is assigned as it comes.

        Args:
            context: of the step being written.
            targets: tensors of variables.
            gradients: one for each, of its shape, in the dtype that is computed in.
            loss: what they are the gradients of, if ``wants_loss``, and if it is known.
        """
        raise NotImplementedError

    def _key(self) -> Any:
        """All that the nodes of an update depend on, beside the tensors."""
        return (type(self), self.name, self.env._store.version)

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> Any:
            """Tell what a name is called here."""
            raise no_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ELSEWHERE and type(self).__module__.startswith("lazygrad."):  # it would be set, and do nothing
            raise no_attribute(self, name)
        super().__setattr__(name, value)

    # What it was given.

    def _at_home(self, context: Context) -> Self:
        """Itself, or what it is in the environment of a step that was sent."""
        if context.env is self.env:
            return self
        if context.sent is not None and context.has(self.env):
            return context.sent.counterpart(self, context.env)
        cure = "Make an optimizer for each environment, or copy, or pickle, the two together."
        raise GraphError(report(f"{self.name} belongs to another environment", at=here(), cure=cure))

    def _targets(self, context: Context, variables: Iterable[Any]) -> list[Tensor]:
        targets: dict[int, Tensor] = {}
        for v in variables:
            if isinstance(v, (Variable, str)):
                if isinstance(v, Variable) and v._env is not self.env:
                    cure = "Give variables of the environment that the optimizer was made for."
                    raise GraphError(report(f"cannot update {v!r}: it is of another environment", at=here(), cure=cure))
                t = source_of(context.variable(v))
            elif isinstance(v, Tensor) and v.graph.nodes[source_of(v).index].of(variable):
                t = tensor(source_of(v), context.graph)
            else:
                cure = "Give what ctx.variable(name) returned, a variable, or its name."
                raise GraphError(report(f"cannot update {v!r:.60}: it is not a variable", at=here(), cure=cure))
            if t.index in targets:
                cure = "One update gives each variable one new value: add up its gradients, and name it once."
                raise GraphError(report(f"cannot update variable {path_of(t)!r} twice", at=here(), cure=cure))
            if t.spec.dtype.kind != "f":
                cure = "An optimizer moves floating numbers: register it with trainable=False, or leave it out."
                facts = [f"variable:  {t.spec}   {path_of(t)!r}"]
                raise SpecError(report(f"cannot update variable {path_of(t)!r}", at=here(), facts=facts, cure=cure))
            targets[t.index] = t
        return list(targets.values())

    def _gradient(self, context: Context, p: Tensor, g: TensorLike) -> Tensor:
        g = tensor(g if isinstance(g, Tensor) else context.constant(g), context.graph)
        if g.spec.shape != p.spec.shape:
            path = path_of(p)
            facts = [f"variable:  {p.spec}   {path!r}", f"gradient:  {g.spec}   {g.graph.describe(g.index)}"]
            cure = "A gradient has the shape of its variable. Are the two lists in the same order?"
            raise SpecError(report(f"cannot update variable {path!r}", at=here(), facts=facts, cure=cure))
        dtype = working(p.spec.dtype)
        return g if g.spec.dtype == dtype else g.astype(dtype)

    # Its place in the environment.

    def _state_variable(self, name: str, initial: Any) -> Variable:
        path, initial = f"{self.name}/{name}", np.asarray(initial)
        if path not in self.env:
            return self.env._register(path, initial, trainable=False)
        found, wanted = self.env._store.find(path), Spec(initial.shape, initial.dtype)
        if found.spec != wanted or found.trainable:
            facts = [f"wanted:      {wanted}, not trainable", f"registered:  {found!r}"]
            cure = "Another variable stands where its state would lie: give the optimizer another name."
            what = f"{self.name!r} cannot use variable {path!r}"
            raise VariableError(report(what, at=here(), facts=facts, cure=cure))
        return found

    def _state(self, context: Context, name: str) -> Tensor:
        """A variable of its state that is there, in a step."""
        return context.variable(f"{self.name}/{name}")


def no_attribute(mover: Mover, name: str) -> AttributeError:
    """The error for an attribute that there is not: says what it is called here."""
    what = f"{type(mover).__name__!r} object has no attribute {name!r}"
    if not name.startswith("_"):  # Python and tools ask for these, and need no advice
        known = [key for key in dir(type(mover)) if not key.startswith("_")]
        cure = f"Write {ELSEWHERE[name]}." if name in ELSEWHERE else nearest(name, known)
        what = report(what, at=here(), cure=cure)
    return AttributeError(what, name=name, obj=mover)


def path_of(t: Tensor) -> str:
    """The path of the variable that ``t`` stands for."""
    return str(t.graph.nodes[t.index].params["name"])


def _here(context: Context, v: Any) -> Any:
    """The variable that stands for one of another environment; all else as it is."""
    stands = isinstance(v, Variable) and v._env is not context.env and context.has(v._env)
    return context.env._store.find(v.path) if stands else v


def _is_left_alone(v: Any) -> bool:
    """Whether it is a variable that is not trainable: a running statistic, or a frozen weight."""
    return isinstance(v, Variable) and not v._trainable


def _unshared(variables: Sequence[Any], grads: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Variables and their gradients; of layers that share a variable, and so have one gradient of it, only once."""
    kept: list[tuple[Any, Any]] = []
    seen = set()
    for v, g in zip(variables, grads, strict=True):
        pair = v, g.index if isinstance(g, Tensor) else id(g)
        if not isinstance(v, Variable) or pair not in seen:
            kept.append((v, g))
            seen.update([pair] if isinstance(v, Variable) else [])
    return kept
