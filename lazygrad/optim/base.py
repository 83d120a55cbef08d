"""What all optimizers share: settings and state as variables, the loop over parameters, the assignments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.context import Context
from lazygrad.errors import DefinitionError, GraphError, SpecError, report
from lazygrad.evaluator import Update
from lazygrad.gradient import _Part, grad
from lazygrad.graph import Tensor, TensorLike, current_graph, here
from lazygrad.ops.source import variable
from lazygrad.optim.schedules import Schedule
from lazygrad.variables import Variable

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Optimizer"]

Numbers = Mapping[str, Tensor]


class Optimizer:
    """The base of all optimizers.

    A subclass names its state in ``slots``, and says in :meth:`step` how one parameter and its state
    follow from its gradient. Settings, the step count and the state are variables of the environment, in
    a namespace of their own that is not trainable: so they are saved, and none is ever compiled in.

    Args:
        env: the environment whose variables it will change.
        settings: numbers by name; the learning rate may be a schedule.
        name: its namespace. If the environment has state under this name, from a file, it goes on from
            there, settings included. If not given, the class name, numbered if it is taken.

    Raises:
        SpecError: a setting is not a finite number.
        DefinitionError: another optimizer of this environment has the same ``name``.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, env: VariableEnvironment, settings: Mapping[str, Any], name: str | None = None) -> None:
        self.env = env
        self.name = self._claimed(env, name)
        self._schedule: Schedule | None = None
        self._settings = tuple(settings)
        for key, value in settings.items():
            self._checked(key, value)
        self._state_variable("step", np.zeros((), np.int64))
        for key, value in settings.items():
            if isinstance(value, Schedule):
                self._schedule = value
            else:
                self._state_variable(key, np.float64(value))

    @classmethod
    def _claimed(cls, env: VariableEnvironment, name: str | None) -> str:
        taken = env._names_taken
        chosen, number = name or cls.__name__.lower(), 1
        if name in taken:
            cure = "Give the second one another name, or leave it out."
            raise DefinitionError(report(f"there is an optimizer named {name!r} already", at=here(), cure=cure))
        while chosen in taken:
            chosen, number = f"{cls.__name__.lower()}_{number}", number + 1
        taken.add(chosen)
        return chosen

    @staticmethod
    def _checked(key: str, value: Any) -> None:
        if isinstance(value, Schedule) and key == "learning_rate":
            return
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            cure = "Settings are finite numbers; a learning rate may also be one of lg.optim.schedules."
            raise SpecError(report(f"cannot use {value!r:.60} as {key}", at=here(), cure=cure))

    def _state_variable(self, name: str, initial: Any) -> Variable:
        path = f"{self.name}/{name}"
        if path in self.env:
            return self.env._find(path)
        return self.env._register(path, np.asarray(initial), trainable=False)

    @property
    def learning_rate(self) -> Any:
        """The learning rate, a number or a schedule; settable at any time, without compiling again."""
        return self._schedule or float(self.env[f"{self.name}/learning_rate"])

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._checked("learning_rate", value)
        if isinstance(value, Schedule) or self._schedule is not None:
            self.env._version += 1
        self._schedule = value if isinstance(value, Schedule) else None
        if not isinstance(value, Schedule):
            self._state_variable("learning_rate", np.float64(value))
            self.env[f"{self.name}/learning_rate"] = value

    @property
    def step_count(self) -> int:
        """How many updates have been made."""
        return int(self.env[f"{self.name}/step"])

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter's new value and new state.

        Args:
            p: the parameter.
            g: its gradient, of the same shape and dtype.
            state: its state, one tensor a slot, of the same shape and dtype; zeros at first.
            settings: the settings and ``t``, the number of this update from 1, as float64 scalars.
                Write ``scalar.astype(p.dtype)`` before mixing one with ``p``.
        """
        raise NotImplementedError

    def update(self, variables: Sequence[Any], grads: Sequence[Any]) -> Update:
        """An update op that moves ``variables`` by one step along ``grads``.

        Nothing happens until it is pushed and run, or returned from the step.

        Args:
            variables: tensors from ``ctx.variable``, variables, or names.
            grads: for each a gradient of its shape.

        Raises:
            GraphError: one of the variables is not a variable, or belongs to another environment.
            SpecError: the numbers of variables and gradients differ, or their shapes.
        """
        graph = current_graph(f"update with {self.name}")
        context: Context = graph.context
        if context.env is not self.env:
            cure = "Make an optimizer for each environment."
            raise GraphError(report(f"{self.name} belongs to another environment", at=here(), cure=cure))
        variables, grads = list(variables), list(grads)
        if len(variables) != len(grads):
            what = f"cannot update {len(variables)} variables with {len(grads)} gradients"
            raise SpecError(report(what, at=here(), cure="Give one gradient for each variable, in the same order."))
        targets = [self._target(context, v) for v in variables]
        gradients = [self._gradient(context, p, g) for p, g in zip(targets, grads, strict=True)]
        used = tuple(t.index for t in [*targets, *gradients])
        with _Part(graph, "update"):
            written = graph.replay(self._key(), used, lambda: self._write(context, targets, gradients))
        return Update(written)

    def _key(self) -> Any:
        """All that the nodes of an update depend on, beside the tensors."""
        return (type(self), self.name, self._schedule, self.env._version)

    def _target(self, context: Context, v: Any) -> Tensor:
        t = context.variable(v) if isinstance(v, (str, Variable)) else v
        if not isinstance(t, Tensor) or not t.graph.nodes[t.index].of(variable):
            cure = "Give what ctx.variable(name) returned, a variable, or its name."
            raise GraphError(report(f"cannot update {v!r:.60}: it is not a variable", at=here(), cure=cure))
        return t

    def _gradient(self, context: Context, p: Tensor, g: TensorLike) -> Tensor:
        if not isinstance(g, Tensor):
            g = context.constant(g)
        if g.shape != p.shape:
            path = p.graph.nodes[p.index].params["name"]
            facts = [f"variable:  {p.spec}   {path!r}", f"gradient:  {g.spec}   {g.graph.describe(g.index)}"]
            cure = "A gradient has the shape of its variable. Are the two lists in the same order?"
            raise SpecError(report(f"cannot update variable {path!r}", at=here(), facts=facts, cure=cure))
        return g if g.dtype == p.dtype else g.astype(p.dtype)

    def _write(self, context: Context, targets: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """The assignments of one update."""
        count = context.variable(f"{self.name}/step")
        t = count + 1
        settings = {
            key: context.variable(f"{self.name}/{key}")
            for key in self._settings
            if key != "learning_rate" or self._schedule is None
        }
        if self._schedule is not None:
            settings["learning_rate"] = self._schedule(count.astype(np.float64))
        settings["t"] = t.astype(np.float64)
        updates = [context.assign(count, t)]
        for p, g in zip(targets, gradients, strict=True):
            path = p.graph.nodes[p.index].params["name"]
            slots = {slot: self._state_variable(f"{path}/{slot}", np.zeros(p.shape, p.dtype)) for slot in self.slots}
            state = {slot: context.variable(v) for slot, v in slots.items()}
            new, new_state = self.step(p, g, state, settings)
            updates.append(context.assign(p, new))
            updates += [context.assign(slots[slot], value) for slot, value in new_state.items()]
        return [t for update in updates for t in update.assignments]

    def minimize(self, loss: Tensor, variables: Sequence[Any] | None = None) -> Update:
        """An update op that moves ``variables``, or every trainable one, along the gradient of ``loss``.

        Raises:
            GradientError: the loss has no gradient.
        """
        if not isinstance(loss, Tensor):
            raise GraphError(report(f"cannot minimize {loss!r:.60}: it is not a tensor", at=here()))
        context: Context = loss.graph.context
        if context is None:
            raise GraphError(report("cannot minimize: the graph of this tensor is finished", at=here()))
        targets = context.variables() if variables is None else [self._target(context, v) for v in variables]
        return self.update(targets, grad(loss, targets))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, step {self.step_count}>"
