"""What all optimizers have."""

# Settings and state as variables, the loop over parameters, the assignments.

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DefinitionError, SpecError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.shares import own_part, share, whole_of
from lazygrad.optim.groups import GivenRates, GivenRule, Rates, applies, check_names, checked_rates, checked_rule
from lazygrad.optim.mover import Change, Mover, path_of
from lazygrad.optim.schedules import Schedule
from lazygrad.step.context import Context
from lazygrad.store.variables import Variable, joined

__all__ = ["Optimizer"]

Numbers = Mapping[str, Tensor]
Ranges = Mapping[str, tuple[float, float]]
NOT_NEGATIVE = (0.0, math.inf)
FRACTION = (0.0, 1.0)


class Optimizer(Mover):
    """The base of all optimizers.

    A subclass names its state in ``slots``, and says in :meth:`step` how one parameter and its state
    follow from its gradient. Settings, the step count and the state are variables of the environment, in
    a namespace of their own that is not trainable: so they are saved, and none is ever compiled in.
    ``ranges`` gives the numbers that a setting may be, from the first up to but not including the second;
    ``totals`` the numbers, at first, that one update hands to the next, beside the state of each parameter.

    Args:
        env: the environment whose variables it will change.
        settings: numbers by name; the learning rate may be a schedule.
        name: its namespace. If the environment has state under this name, from a file, it goes on from
            there, settings included. If not given, the class name, numbered if it is taken.
        rates: learning rates of their own for parts of a network, by names: words of the paths of the variables,
            such as ``{"head": 0.1}`` for ``head/weight`` and ``head/bias``; in a word ``*`` stands for any letters.
            A layer or a variable stands for its path. The first name that fits a variable holds.
        decay: which variables the setting ``weight_decay`` is for: names likewise, such as ``"weight"``, or a function
            of a variable, such as ``lambda v: len(v.shape) > 1``; all, if not given.

    Raises:
        SpecError: a setting is not a finite number, or out of its range.
        DefinitionError: another optimizer of this environment has the same ``name``.
        VariableError: ``name`` cannot be the name of a namespace, or other variables stand in it.
    """

    slots: tuple[str, ...] = ()
    by_element: ClassVar[bool] = False  # whether an element of the state depends on no other element
    ranges: ClassVar[Ranges] = {"learning_rate": NOT_NEGATIVE}
    totals: ClassVar[Mapping[str, float]] = {}

    def __init__(
        self,
        env: VariableEnvironment,
        settings: Mapping[str, Any],
        name: str | None = None,
        *,
        rates: GivenRates | None = None,
        decay: GivenRule | None = None,
    ) -> None:
        if not isinstance(env, VariableEnvironment):
            cure = f"Write {type(self).__name__}(env, ...): its state is variables of an environment."
            raise DefinitionError(report(f"cannot keep state in {env!r:.60}", at=here(), cure=cure))
        for key, value in settings.items():
            self._checked(key, value)
        given = checked_rates(rates)
        for rate in given.values():
            self._checked("learning_rate", rate)
        self.env = env
        self._schedule: Schedule | None = None
        self._settings = tuple(settings)
        self._decay = checked_rule(decay)
        env._store.whole(lambda: self._register(settings, name, given))

    def _register(self, settings: Mapping[str, Any], name: str | None, rates: Mapping[str, Any]) -> None:
        """Take a name, and the variables that every optimizer has."""
        path = None if name is None else joined("", name)
        self.name = self.env._store.free_path(path, type(self).__name__.lower())
        self._rates = Rates(self, rates)
        self._state_variable("step", np.zeros((), np.int64))
        for key, value in settings.items():
            if isinstance(value, Schedule):
                self._schedule = value
            else:
                self._state_variable(key, np.float64(value))
        for key, value in self.totals.items():
            self._state_variable(key, np.float64(value))
        for key, rate in rates.items():
            if isinstance(rate, Schedule):
                self._rates._schedules[key] = rate
            else:
                self._state_variable(f"rates/{key}", np.float64(rate))
        self.env._store.names[self.name] = None
        self.env._store.optimizers[self.name] = self

    @classmethod
    def _checked(cls, key: str, value: Any) -> None:
        if isinstance(value, Schedule) and key == "learning_rate":
            return
        checked_number(key, value, cls.ranges.get(key, (-math.inf, math.inf)))

    @property
    def learning_rate(self) -> Any:
        """The learning rate, a number or a schedule; settable at any time, without compiling again."""
        return self._schedule or float(self.env[f"{self.name}/learning_rate"])

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._checked("learning_rate", value)
        self._schedule = self._set_rate("learning_rate", self._schedule, value)

    def _set_rate(self, name: str, before: Any, value: Any) -> Schedule | None:
        """Put a number in its variable; a schedule is written into the next trace."""
        if isinstance(value, Schedule) or isinstance(before, Schedule):
            self.env._store.version += 1
        if isinstance(value, Schedule):
            return value
        self._state_variable(name, np.float64(value))
        self.env[f"{self.name}/{name}"] = value
        return None

    @property
    def rates(self) -> Rates:
        """The learning rates of parts of a network, by name; each settable as :attr:`learning_rate` is."""
        return self._rates

    @property
    def current_rate(self) -> float:
        """The learning rate of the next update, a number; that of a schedule at the steps made so far."""
        return float(self.learning_rate) if self._schedule is None else self._rate_now(self._schedule)

    def _has_rate(self) -> bool:
        """Whether there is a learning rate."""
        return self._schedule is not None or f"{self.name}/learning_rate" in self.env

    def _rate_now(self, schedule: Schedule) -> float:
        """That of a schedule at the steps made so far."""
        return float(self.env.run(lambda ctx: schedule(self._state(ctx, "step").astype(np.float64))))

    @property
    def step_count(self) -> int:
        """How many updates have been made."""
        return int(self.env[f"{self.name}/step"])

    # What a subclass is written with.

    def prepare(self, settings: Numbers) -> Numbers:
        """What the update of every parameter needs of the settings, worked out once.

        Args:
            settings: the settings, ``totals``, and ``t``, the number of this update from 1, as float64 scalars. For
                variables that do not decay there is no ``weight_decay``.
        """
        return settings

    def carry(self, settings: Numbers) -> Numbers:
        """The new values of ``totals``; ``settings`` are those that :meth:`prepare` gets."""
        return {}

    def state_shapes(self, shape: Shape) -> Mapping[str, Shape]:
        """The shapes of the state of a parameter of this shape, by slot."""
        return dict.fromkeys(self.slots, shape)

    def step(self, p: Tensor, g: Tensor, state: Numbers, settings: Numbers) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter's new value and new state.

        Args:
            p: the parameter.
            g: its gradient, of the same shape and dtype.
            state: its state, one tensor a slot, of the same dtype; zeros at first.
            settings: what :meth:`prepare` gave, as scalars of the same dtype.

        All of them have the parameter's dtype, but for a parameter of halves: then they are float32, the state is
        kept so, and the new value is rounded to halves once. An ε of 1e-8, or a small g², is 0 in float16.
        """
        raise NotImplementedError

    def _key(self) -> Any:
        return (*super()._key(), self._schedule, self._rates.key(), self._decay)

    def _changes(
        self, context: Context, targets: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor | None
    ) -> Iterator[Change]:
        self._check_rules()
        self.env._store.optimizers[self.name] = self  # also of one that was copied
        count = self._state(context, "step")
        t = count + 1
        settings = self._settings_at(context, count.astype(np.float64), t.astype(np.float64))
        groups = [self._group_of(path_of(p)) for p in targets]
        prepared = {group: self.prepare(self._of_group(context, settings, *group)) for group in dict.fromkeys(groups)}
        scalars = dict[Any, Numbers]()
        yield count, t
        for key, value in self.carry(settings).items():
            yield self._state(context, key), value
        for p, g, group in zip(targets, gradients, groups, strict=True):
            path, dtype = path_of(p), working(p.dtype)
            if context.graph.origin is not None:
                context.graph.origin = context.graph.origin._replace(layer=path.rpartition("/")[0])
            among = context.among if self._is_shared(p) else None
            slots = self._slots(path, p.shape, dtype, among)
            state = {key: context.variable(v) for key, v in slots.items()}
            if (dtype, group) not in scalars:
                scalars[dtype, group] = {key: x.astype(dtype) for key, x in prepared[group].items()}
            if among is None:
                new, new_state = self.step(p.astype(dtype), g, state, scalars[dtype, group])
            else:
                parts = own_part(p.astype(dtype), among), own_part(g, among)
                new, new_state = self.step(*parts, state, scalars[dtype, group])
                new = whole_of(new, p.shape, among)
            yield p, new
            for slot, value in new_state.items():
                yield slots[slot], value

    def _is_shared(self, p: Tensor) -> bool:
        """Whether each worker updates its part of a parameter."""
        store = self.env._store
        return store.is_sharded and self.by_element and bool(self.slots) and math.prod(p.shape) >= store.among.size

    def _slots(self, path: str, shape: Shape, dtype: Any, among: Any) -> dict[str, Variable]:
        """The variables of the state of a parameter; those that are shared out are this worker's part."""
        store, found = self.env._store, dict[str, Variable]()
        for key, s in self.state_shapes(shape).items():
            name = f"{path}/{key}"
            known = store.variables.get(f"{self.name}/{name}")
            if among is not None and known is not None:
                store.share_out(known, s)
            size = s if among is None else (share(math.prod(s), among.size),)
            found[key] = self._state_variable(name, np.zeros(size, dtype))
            if among is not None:
                store.share_out(found[key], s)
        return found

    def _group_of(self, path: str) -> tuple[str | None, bool]:
        """The name whose rate a variable has, and whether it decays."""
        return self._rates.of(path), applies(self._decay, self.env._store.find(path))

    def _check_rules(self) -> None:
        check_names(self.env, self._rates, f"rates of {self.name!r}")
        if isinstance(self._decay, tuple):
            check_names(self.env, self._decay, f"decay of {self.name!r}")

    def _settings_at(self, context: Context, count: Tensor, t: Tensor) -> dict[str, Tensor]:
        """The settings of an update, as float64 scalars."""
        keys = [key for key in self._settings if key != "learning_rate" or self._schedule is None]
        settings = {key: self._state(context, key) for key in [*keys, *self.totals]}
        if self._schedule is not None:
            settings["learning_rate"] = self._schedule(count)
        return {**settings, "t": t}

    def _of_group(self, context: Context, settings: Numbers, rate: str | None, decays: bool) -> Numbers:
        """The settings for the variables of one rule: with its rate, and without weight decay if they do not decay."""
        kept = {key: value for key, value in settings.items() if decays or key != "weight_decay"}
        if rate is None:
            return kept
        schedule = self._rates._schedules[rate]
        if schedule is None:
            return {**kept, "learning_rate": context.variable(self._rates.path(rate))}
        return {**kept, "learning_rate": schedule(self._state(context, "step").astype(np.float64))}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, step {self.step_count}>"


def checked_number(key: str, value: Any, limits: tuple[float, float]) -> None:
    """Raise SpecError unless a setting is a finite number, from the first limit up to but not including the second."""
    low, high = limits
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


def pair(key: str, values: Any) -> tuple[Any, Any]:
    """Two numbers; raises SpecError if there are not two."""
    if not isinstance(values, (tuple, list)) or len(values) != 2:
        cure = f"Give two numbers, such as {key}=(0.9, 0.99)."
        raise SpecError(report(f"cannot use {values!r:.60} as {key}", at=here(), cure=cure))
    return values[0], values[1]
