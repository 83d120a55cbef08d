"""What all optimizers share: settings and state as variables, the loop over parameters, the assignments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, ClassVar

import numpy as np

from lazygrad.casting import working
from lazygrad.context import Context
from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DefinitionError, GradientError, GraphError, SpecError, VariableError, report
from lazygrad.evaluator import Update
from lazygrad.gradient import Part, gathered, grad
from lazygrad.graph import current_graph
from lazygrad.kinds import tensor
from lazygrad.ops.source import variable
from lazygrad.optim.schedules import Schedule
from lazygrad.registry import here
from lazygrad.spec import Spec
from lazygrad.tensor import Tensor, TensorLike
from lazygrad.trees import aligned, leaves
from lazygrad.variables import Variable, joined

__all__ = ["Optimizer"]

Numbers = Mapping[str, Tensor]
Ranges = Mapping[str, tuple[float, float]]
NOT_NEGATIVE = (0.0, math.inf)
FRACTION = (0.0, 1.0)
UNFREEZE = "Set variable.trainable = True, or give the variable's name, ctx.variable(name), to move it all the same."


class Optimizer:
    """The base of all optimizers.

    A subclass names its state in ``slots``, and says in :meth:`step` how one parameter and its state
    follow from its gradient. Settings, the step count and the state are variables of the environment, in
    a namespace of their own that is not trainable: so they are saved, and none is ever compiled in.
    ``ranges`` gives the numbers that a setting may be, from the first up to but not including the second.

    Args:
        env: the environment whose variables it will change.
        settings: numbers by name; the learning rate may be a schedule.
        name: its namespace. If the environment has state under this name, from a file, it goes on from
            there, settings included. If not given, the class name, numbered if it is taken.

    Raises:
        SpecError: a setting is not a finite number, or out of its range.
        DefinitionError: another optimizer of this environment has the same ``name``.
        VariableError: ``name`` cannot be the name of a namespace, or other variables stand in it.
    """

    slots: tuple[str, ...] = ()
    ranges: ClassVar[Ranges] = {"learning_rate": NOT_NEGATIVE}

    def __init__(self, env: VariableEnvironment, settings: Mapping[str, Any], name: str | None = None) -> None:
        if not isinstance(env, VariableEnvironment):
            cure = f"Write {type(self).__name__}(env, ...): its state is variables of an environment."
            raise DefinitionError(report(f"cannot keep state in {env!r:.60}", at=here(), cure=cure))
        for key, value in settings.items():
            self._checked(key, value)
        self.env = env
        self._schedule: Schedule | None = None
        self._settings = tuple(settings)
        env._whole(lambda: self._register(settings, name))

    def _register(self, settings: Mapping[str, Any], name: str | None) -> None:
        """Take a name, and the variables that every optimizer has."""
        self.name = self._free_name(self.env, name)
        self._state_variable("step", np.zeros((), np.int64))
        for key, value in settings.items():
            if isinstance(value, Schedule):
                self._schedule = value
            else:
                self._state_variable(key, np.float64(value))
        self.env._names_taken[self.name] = None

    @classmethod
    def _free_name(cls, env: VariableEnvironment, name: str | None) -> str:
        taken = env._names_taken.keys() | env._layers.keys()
        if name is not None:
            if joined("", name) in taken:
                kind = "a layer" if name in env._layers else "an optimizer"
                cure = "Give the second one another name, or leave it out."
                raise DefinitionError(report(f"there is {kind} named {name!r} already", at=here(), cure=cure))
            return name
        chosen, number = cls.__name__.lower(), 1
        while chosen in taken:
            chosen, number = f"{cls.__name__.lower()}_{number}", number + 1
        return chosen

    @classmethod
    def _checked(cls, key: str, value: Any) -> None:
        if isinstance(value, Schedule) and key == "learning_rate":
            return
        low, high = cls.ranges.get(key, (-math.inf, math.inf))
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float, np.integer, np.floating))
            or not np.isfinite(value)
        ):
            cure = "Settings are finite numbers; a learning rate may also be one of lg.optim.schedules."
        elif not low <= value < high:
            cure = f"It is a number from {low:g} up" + (f" to but not including {high:g}." if high < math.inf else ".")
        else:
            return
        raise SpecError(report(f"cannot use {value!r:.60} as {key}", at=here(), cure=cure))

    def _state_variable(self, name: str, initial: Any) -> Variable:
        path, initial = f"{self.name}/{name}", np.asarray(initial)
        if path not in self.env:
            return self.env._register(path, initial, trainable=False)
        found, wanted = self.env._find(path), Spec(initial.shape, initial.dtype)
        if found.spec != wanted or found.trainable:
            facts = [f"wanted:      {wanted}, not trainable", f"registered:  {found!r}"]
            cure = "Another variable stands where its state would lie: give the optimizer another name."
            what = f"{self.name!r} cannot use variable {path!r}"
            raise VariableError(report(what, at=here(), facts=facts, cure=cure))
        return found

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
    def current_rate(self) -> float:
        """The learning rate of the next update, a number; that of a schedule at the steps made so far."""
        schedule = self._schedule
        if schedule is None:
            return float(self.learning_rate)
        return float(self.env.run(lambda ctx: schedule(ctx.variable(f"{self.name}/step").astype(np.float64))))

    @property
    def step_count(self) -> int:
        """How many updates have been made."""
        return int(self.env[f"{self.name}/step"])

    def prepare(self, settings: Numbers) -> Numbers:
        """What the update of every parameter needs of the settings, worked out once.

        Args:
            settings: the settings and ``t``, the number of this update from 1, as float64 scalars.
        """
        return settings

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter's new value and new state.

        Args:
            p: the parameter.
            g: its gradient, of the same shape and dtype.
            state: its state, one tensor a slot, of the same shape and dtype; zeros at first.
            settings: what :meth:`prepare` gave, as scalars of the same dtype.

        All of them have the parameter's dtype, but for a parameter of halves: then they are float32, the state is
        kept so, and the new value is rounded to halves once. An ε of 1e-8, or a small g², is 0 in float16.
        """
        raise NotImplementedError

    def update(self, variables: Sequence[Any], grads: Sequence[Any]) -> Update:
        """An update op that moves ``variables`` by one step along ``grads``.

        Nothing happens until it is pushed and run, or returned from the step.

        Args:
            variables: tensors from ``ctx.variable``, variables, or names; one, or several in lists, tuples and
                dicts, in any nesting, such as ``network.variables``. A variable that is not trainable, such as a
                running statistic or a frozen weight, is left alone, and so is its gradient; one that is named, or
                given as a tensor, is moved.
            grads: for each a gradient of its shape, nested likewise.

        Raises:
            GraphError: one of the variables is not a variable, stands there twice, or belongs to another
                environment or call.
            SpecError: the numbers of variables and gradients differ, or their shapes, or a variable does
                not hold floating numbers.
        """
        graph = current_graph(f"update with {self.name}")
        context: Context = graph.context
        if context.env is not self.env:
            cure = "Make an optimizer for each environment."
            raise GraphError(report(f"{self.name} belongs to another environment", at=here(), cure=cure))
        nested = gathered(variables)
        variables, grads = [v for _, v in leaves(nested)], aligned(nested, gathered(grads))
        if len(variables) != len(grads):
            what = f"cannot update {len(variables)} variables with {len(grads)} gradients"
            raise SpecError(report(what, at=here(), cure="Give one gradient for each variable, in the same order."))
        moved = [not _is_left_alone(v) for v in variables]
        variables, grads = list(compress(variables, moved)), list(compress(grads, moved))
        if moved and not variables:
            what = f"cannot update: none of the {len(moved)} variables is trainable"
            raise GradientError(report(what, at=here(), cure=UNFREEZE))
        targets = self._targets(context, variables)
        gradients = [self._gradient(context, p, g) for p, g in zip(targets, grads, strict=True)]
        used = tuple(t.index for t in [*targets, *gradients])
        with Part(graph, "update"):
            written = graph.replay(self._key(), used, lambda: self._write(context, targets, gradients))
        return Update(written)

    def _key(self) -> Any:
        """All that the nodes of an update depend on, beside the tensors."""
        return (type(self), self.name, self._schedule, self.env._version)

    def _targets(self, context: Context, variables: Iterable[Any]) -> list[Tensor]:
        targets: list[Tensor] = []
        for v in variables:
            if isinstance(v, Variable) and v._env is not self.env:
                cure = "Give variables of the environment that the optimizer was made for."
                raise GraphError(report(f"cannot update {v!r}: it is of another environment", at=here(), cure=cure))
            t = context.variable(v) if isinstance(v, (str, Variable)) else v
            if not isinstance(t, Tensor) or not t.graph.nodes[t.index].of(variable):
                cure = "Give what ctx.variable(name) returned, a variable, or its name."
                raise GraphError(report(f"cannot update {v!r:.60}: it is not a variable", at=here(), cure=cure))
            tensor(t, context.graph)
            if any(t.index == target.index for target in targets):
                cure = "One update gives each variable one new value: add up its gradients, and name it once."
                raise GraphError(report(f"cannot update variable {_path(t)!r} twice", at=here(), cure=cure))
            if t.dtype.kind != "f":
                cure = "An optimizer moves floating numbers: register it with trainable=False, or leave it out."
                facts = [f"variable:  {t.spec}   {_path(t)!r}"]
                raise SpecError(report(f"cannot update variable {_path(t)!r}", at=here(), facts=facts, cure=cure))
            targets.append(t)
        return targets

    def _gradient(self, context: Context, p: Tensor, g: TensorLike) -> Tensor:
        g = tensor(g if isinstance(g, Tensor) else context.constant(g), context.graph)
        if g.shape != p.shape:
            path = _path(p)
            facts = [f"variable:  {p.spec}   {path!r}", f"gradient:  {g.spec}   {g.graph.describe(g.index)}"]
            cure = "A gradient has the shape of its variable. Are the two lists in the same order?"
            raise SpecError(report(f"cannot update variable {path!r}", at=here(), facts=facts, cure=cure))
        return g.astype(working(p.dtype))

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
        prepared, scalars = self.prepare(settings), dict[Any, Numbers]()
        updates = [context.assign(count, t)]
        for p, g in zip(targets, gradients, strict=True):
            path, dtype = _path(p), working(p.dtype)
            slots = {slot: self._state_variable(f"{path}/{slot}", np.zeros(p.shape, dtype)) for slot in self.slots}
            state = {slot: context.variable(v) for slot, v in slots.items()}
            if dtype not in scalars:
                scalars[dtype] = {key: scalar.astype(dtype) for key, scalar in prepared.items()}
            new, new_state = self.step(p.astype(dtype), g, state, scalars[dtype])
            updates.append(context.assign(p, new))
            updates += [context.assign(slots[slot], value) for slot, value in new_state.items()]
        return [t for update in updates for t in update.assignments]

    def minimize(self, loss: Tensor, variables: Sequence[Any] | None = None) -> Update:
        """An update op that moves ``variables``, or every trainable one, along the gradient of ``loss``.

        Args:
            loss: a tensor.
            variables: as for :meth:`update`; of ``network.variables`` those are moved that are trainable.

        Raises:
            GradientError: the loss has no gradient, or there is no variable that it could be taken for.
            GraphError, SpecError: as :meth:`update`.
        """
        if not isinstance(loss, Tensor):
            cure = "Give the loss as a tensor of this step."
            raise GraphError(report(f"cannot minimize {loss!r:.60}: it is not a tensor", at=here(), cure=cure))
        context: Context = loss.graph.context
        if context is None:
            cure = "A tensor lives as long as the call of the step that made it: write the update in that call."
            raise GraphError(report("cannot minimize: the graph of this tensor is finished", at=here(), cure=cure))
        given = context.variables() if variables is None else [v for _, v in leaves(gathered(variables))]
        targets = self._targets(context, [v for v in given if not _is_left_alone(v)])
        if given and not targets:
            what = f"cannot minimize: none of the {len(given)} variables is trainable"
            raise GradientError(report(what, at=here(), cure=UNFREEZE))
        if not targets:
            cure = "Register a variable with env.name(name).set(array), or name those that shall change."
            raise GradientError(report("cannot minimize: there is no trainable variable", at=here(), cure=cure))
        return self.update(targets, grad(loss, targets))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, step {self.step_count}>"


def _is_left_alone(v: Any) -> bool:
    """Whether it is a variable that is not trainable: a running statistic, or a frozen weight."""
    return isinstance(v, Variable) and not v.trainable


def _path(t: Tensor) -> str:
    """The name of the variable that ``t`` stands for."""
    return str(t.graph.nodes[t.index].params["name"])


def pair(key: str, values: Any) -> tuple[Any, Any]:
    """Two numbers; raises SpecError if there are not two."""
    if not isinstance(values, (tuple, list)) or len(values) != 2:
        cure = f"Give two numbers, such as {key}=(0.9, 0.99)."
        raise SpecError(report(f"cannot use {values!r:.60} as {key}", at=here(), cure=cure))
    return values[0], values[1]
