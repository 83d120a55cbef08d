"""Rules on names: which variables have a learning rate of their own, and which decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import SpecError, VariableError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.store.variables import Variable, joined

if TYPE_CHECKING:
    from lazygrad.optim.base import Optimizer

__all__ = ["GivenRates", "GivenRule", "Rates", "applies", "check_names", "checked_rates", "checked_rule", "names"]

# A name may also be given as the layer or the variable that has it.
GivenRates: TypeAlias = Mapping[Any, Any]
GivenRule: TypeAlias = "Any | Sequence[Any] | Callable[[Variable], Any]"


def names(pattern: str, path: str) -> bool:
    """Whether the words of ``pattern`` stand one after the other in ``path``; in a word ``*`` stands for any letters.

    ``"head"`` names ``head/weight`` and ``network/head/bias``; ``"head/weight"`` only the first; ``"conv*"`` all that
    is in ``conv`` and in ``conv_1``.
    """
    wanted, words = pattern.split("/"), path.split("/")
    count = len(wanted)
    return any(all(map(fnmatchcase, words[i : i + count], wanted)) for i in range(len(words) - count + 1))


def _is_name(given: Any) -> bool:
    """Whether it is a name, or a layer or a variable, which has one."""
    return isinstance(given, str) or isinstance(getattr(given, "path", None), str)


def _name(given: Any) -> str:
    return joined("", given if isinstance(given, str) else given.path)


def check_names(env: VariableEnvironment, patterns: Iterable[str], what: str) -> None:
    """Raise VariableError for a pattern that names no variable, the state of optimizers apart."""
    states = tuple(f"{name}/" for name in env._store.names)
    paths = [path for path in env._store.variables if not path.startswith(states)]
    for pattern in patterns:
        if not any(names(pattern, path) for path in paths):
            words = dict.fromkeys([*paths, *(word for path in paths for word in path.split("/"))])
            cure = f"{nearest(pattern, words)} A rule gives words of a path: a namespace, a name, or both."
            facts = [f"rule:  {pattern!r}, in the {what}"]
            what = f"{what} names no variable: {pattern!r}"
            raise VariableError(report(what, at=here(), facts=facts, cure=cure))


def checked_rule(rule: Any) -> Any:
    """A rule on variables as a tuple of patterns, a function, or None; raises SpecError if it is none of them."""
    if rule is None or (callable(rule) and not isinstance(rule, type) and not _is_name(rule)):
        return rule
    patterns = (rule,) if _is_name(rule) else rule
    if not isinstance(patterns, (tuple, list)) or not all(map(_is_name, patterns)):
        cure = 'Give names, such as decay="weight" or decay=["weight", "conv*"], or a function of a variable.'
        raise SpecError(report(f"cannot use {rule!r:.60} as decay", at=here(), cure=cure))
    return tuple([_name(pattern) for pattern in patterns])


def applies(rule: Any, variable: Variable) -> bool:
    """Whether a rule that :func:`checked_rule` gave is for a variable."""
    if rule is None:
        return True
    if callable(rule):
        return bool(rule(variable))
    return any(names(pattern, variable.path) for pattern in rule)


class Rates(Mapping[str, Any]):
    """The learning rates of parts of a network, by the names that an optimizer was given; each settable.

    ``adam.rates["head"] = 0.01`` sets a number without compiling again. A rate may also be a schedule. A layer stands
    for its path.
    """

    def __init__(self, optimizer: Optimizer, given: GivenRates) -> None:
        self._optimizer = optimizer
        self._schedules: dict[str, Any] = dict.fromkeys(given)  # by name; None for a number, which is a variable

    def __getitem__(self, name: Any) -> Any:
        name = getattr(name, "path", name)
        if name not in self._schedules:
            cure = nearest(str(name), self._schedules)
            raise VariableError(report(f"there is no rate for {name!r}", at=here(), cure=cure))
        return self._schedules[name] or float(self._optimizer.env[self.path(name)])

    def __setitem__(self, name: Any, rate: Any) -> None:
        before, name = self[name], getattr(name, "path", name)
        self._optimizer._checked("learning_rate", rate)
        self._schedules[name] = self._optimizer._set_rate(f"rates/{name}", before, rate)

    def current(self, name: Any) -> float:
        """The rate of the next update as a number, also of a schedule."""
        rate, schedule = self[name], self._schedules[getattr(name, "path", name)]
        return self._optimizer._rate_now(schedule) if schedule else float(rate)

    def __iter__(self) -> Iterator[str]:
        return iter(self._schedules)

    def __len__(self) -> int:
        return len(self._schedules)

    def __repr__(self) -> str:
        return repr(dict(self))

    def path(self, name: str) -> str:
        """The variable of a rate."""
        return f"{self._optimizer.name}/rates/{name}"

    def key(self) -> Any:
        """All that a trace depends on."""
        return tuple(self._schedules.items())

    def of(self, path: str) -> str | None:
        """The first name that holds for a variable, or None."""
        return next((name for name in self._schedules if names(name, path)), None)


def checked_rates(rates: Any) -> dict[str, Any]:
    """Rates by name; raises SpecError for what is no dict of names, VariableError for what is no name."""
    if rates is None:
        return {}
    if not isinstance(rates, Mapping) or not all(map(_is_name, rates)):
        cure = 'Give a dict of names and learning rates, such as rates={"head": 0.1}.'
        raise SpecError(report(f"cannot use {rates!r:.60} as rates", at=here(), cure=cure))
    return {_name(name): rate for name, rate in rates.items()}
