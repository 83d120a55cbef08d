"""The user's step as training calls it: checked before anything runs, its metrics named."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import Any

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, GraphError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.checks import takes_train
from lazygrad.ops.source import assign
from lazygrad.step.called import argument_names, step_name
from lazygrad.step.compiled import Compiled
from lazygrad.step.evaluator import Update
from lazygrad.training.data import Table, count_of, first, pieces
from lazygrad.training.labels import ranges
from lazygrad.training.shapes import crossed
from lazygrad.trees import leaves

__all__ = ["ARRAYS", "PREDICTIONS", "Step"]

PREDICTIONS = "predictions"
ARRAYS = (PREDICTIONS, "targets")  # what a step may return for the metrics


class Step:
    """A step for training or for validation.

    Args:
        step: what the user gave: ``env.compile(step)``, or a function, which is run by ``env.run``.
        env: the environment; that of a compiled step, if not given.
        train: what its argument ``train`` is to be, if it has one.
    """

    def __init__(self, step: Callable[..., Any], env: VariableEnvironment | None, train: bool) -> None:
        self.env = environment_of(step, env)
        self.train = train
        function = step._step if isinstance(step, Compiled) else step
        self.name = step_name(function)
        self.metrics: list[str] = []  # their names, once it has been checked
        self.graph: Graph | None = None  # what it writes for the first batch it is checked with
        self.constants: list[Any] = []  # and the arrays in it
        self.initial: dict[str, Any] = {}  # variables that it will register at its first call, by path
        self.collects = False  # whether metrics are computed of the arrays that it returns
        self.arrays: dict[str, Any] = {}  # those of the last call, by the names in ARRAYS
        self._ranges: dict[str, tuple[int, int]] = {}  # of the labels that it has room for
        told = takes_train(function)
        self.function = partial(function, train=train) if told else function
        self._named: list[str] = []  # arguments that are given by name, the last ones of a batch
        self._parameters = _parameters(self.function)
        self._run: Callable[..., Any]
        if not isinstance(step, Compiled):
            self._run = partial(self.env.run, self.function)
        else:
            self._run = step.bound(train=train) if told else step

    @property
    def precision(self) -> str | None:
        """What it is compiled for."""
        return self._run._precision if isinstance(self._run, Compiled) else None

    def rates(self) -> dict[str, float]:
        """The learning rates, now, of the optimizers whose updates it makes, by their names."""
        nodes = [] if self.graph is None else self.graph.nodes
        changed = [str(node.params["name"]) for node in nodes if node.of(assign)]
        found = {name: one for name, one in self.env._store.optimizers.items() if one._has_rate()}
        used = {name for name in found if any(path.startswith(f"{name}/") for path in changed)}
        return {name: found[name].current_rate for name in sorted(used)}

    def names(self, count: int) -> list[str]:
        """What the step calls the ``count`` arrays that it is given."""
        return [*argument_names(self.function, count - len(self._named)), *self._named]

    def takes(self, name: str) -> bool:
        """Whether the step has an argument of this name, or takes any."""
        return any(p.name == name or p.kind is p.VAR_KEYWORD for p in self._parameters)

    def matched(self, data: Mapping[Any, Any], later: Sequence[str] = ()) -> Mapping[Any, Any]:
        """The data in the order in which the step takes them, matched to its arguments by name.

        Args:
            data: arrays by name.
            later: names of arrays that will be put beside them.

        Raises:
            DataError: the step has no argument of such a name, or one for which there are no data.
        """
        parameters = self._parameters
        plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        known = [*plain, *(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)]
        kinds = {p.kind for p in parameters}
        if not known and not kinds - {inspect.Parameter.VAR_POSITIONAL}:
            return data  # no names that could be matched
        wanted = [p.name for p in parameters if p.name in known and p.default is p.empty]
        missing = [name for name in wanted if name not in data and name not in later]
        unknown = [name for name in data if name not in known] if inspect.Parameter.VAR_KEYWORD not in kinds else []
        if missing or unknown:
            facts = [f"data:     {', '.join(map(str, data))}", f"step:     {self.name}(ctx, {', '.join(known)})"]
            facts += [f"missing:  {', '.join(missing)}"] if missing else []
            facts += [f"unknown:  {', '.join(map(str, unknown))}"] if unknown else []
            cure = "The keys of a dict of data are the names of the step's arguments."
            raise DataError(report(f"the data do not fit {self.name}", at=here(), facts=facts, cure=cure))
        placed = list(takewhile(data.__contains__, plain))
        named = list(dict.fromkeys(name for name in [*known, *data] if name in data and name not in placed))
        self._named = named  # at once, as threads that prepare batches find the same
        return {name: data[name] for name in [*placed, *named]}

    def given(self, batch: Sequence[Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """A batch as the arguments that are given by their places, and by their names."""
        count = len(batch) - len(self._named)
        return batch[:count], dict(zip(self._named, batch[count:], strict=True))

    def check(self, tables: Sequence[Table], batch: Sequence[Any]) -> None:
        """Trace the step with a batch, and compute nothing.

        Raises:
            LazygradError: the step is wrong; its message says where.
            DataError: a label of the data set is out of the range that the step has for it.
            GraphError: what the step returns is not to be averaged, or validation would change variables.
        """
        probe = _Probe(self.function)
        args, kwargs = self.given(batch)
        graph = self.env.trace(probe, *args, precision=self.precision, **kwargs)
        if self.graph is None:
            self.graph, self.constants, self.initial = graph, probe.constants, probe.registered
        self._check_returned(probe.returned, graph)
        self._warn_of_pairs(graph, count_of(batch))
        self._ranges = ranges(graph)
        self.check_labels(tables)

    def check_labels(self, tables: Sequence[Table], where: str = "") -> None:
        """Raise DataError unless the step has room for all labels; ``where`` they are, as messages say it."""
        names = self.names(len(tables))
        for name, (low, high) in self._ranges.items():
            if name in names:
                _check_labels(tables[names.index(name)], low, high, where)

    def _check_returned(self, result: Any, graph: Graph) -> None:
        numbers, arrays = self._told(result)
        self.metrics = list(numbers)
        if self.collects and not self.train and PREDICTIONS not in arrays:
            cure = f'Return them in a dict: {{"loss": loss, "{PREDICTIONS}": lg.argmax(logits, axis=1)}}.'
            what = f"{self.name} returns no predictions, of which the metrics could be computed"
            raise GraphError(report(what, at=here(), cure=cure))
        for name, leaf in numbers.items():
            if isinstance(leaf, Tensor) and leaf.ndim:
                facts = [f"{name}:  {leaf.spec}"]
                cure = "Training averages what a step returns over the batches: return numbers, such as lg.mean(...)."
                raise GraphError(report(f"{self.name} returns an array as {name!r}", at=here(), facts=facts, cure=cure))
        changed = [node.params["name"] for node in graph.nodes if node.of(assign)]
        if not self.train and changed:
            facts = [f"It would change {', '.join(map(repr, changed[:4]))}{', …' if len(changed) > 4 else ''}."]
            cure = (
                "Return updates only when training: give the step an argument `train`, and write "
                "`if train: metrics['update'] = optimizer.minimize(loss)`; or give another step as evaluate=."
            )
            what = f"{self.name} changes variables in validation"
            raise GraphError(report(what, at=here(), facts=facts, cure=cure))
        if self.train and not changed:
            cure = "Return the optimizer's update with the loss: return loss, optimizer.minimize(loss)."
            raise GraphError(report(f"{self.name} changes no variable: it cannot train", at=here(), cure=cure))

    def _warn_of_pairs(self, graph: Graph, rows: int) -> None:
        place = crossed(graph, rows)
        if place is not None and self.train:
            facts = [f"{graph.tensor(i).spec}   {graph.describe(i)}" for i in graph.nodes[place].inputs]
            cure = "Give both the same shape, such as y.reshape(-1, 1) for the targets."
            what = f"{self.name} pairs every row of a batch with every other row"
            warnings.warn(report(what, at=graph.origins[place], facts=facts, cure=cure), RuntimeWarning, stacklevel=4)

    def prepare(self, batch: Sequence[Any]) -> None:
        """Compile for a batch of this shape, so that every epoch is computed by the same code."""
        if isinstance(self._run, Compiled):
            args, kwargs = self.given(batch)
            self._run.prepare(*args, **kwargs)

    def __call__(self, batch: Sequence[Any]) -> dict[str, float]:
        """Run the step; its metrics by name."""
        if self._named:
            args, kwargs = self.given(batch)
            result = self._run(*args, **kwargs)
        else:
            result = self._run(*batch)
        if type(result) is tuple and len(result) == 2 and result[1] is None:
            if not isinstance(result[0], (dict, list, tuple)):  # loss and update, the usual step
                return {"loss": float(result[0])}
        numbers, self.arrays = self._told(result)
        return {name: float(leaf) for name, leaf in numbers.items()}

    def _told(self, result: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the step returned by name: the numbers that are averaged, and the arrays that metrics are of."""
        found = {name: leaf for name, leaf in named(result) if leaf is not None}
        told = [name for name in ARRAYS if name in found and (self.collects or _axes(found[name]))]
        arrays = {name: found.pop(name) for name in told}
        return found, arrays


def _axes(leaf: Any) -> int:
    """How many axes there are of what a step returned: a tensor, or its value."""
    return int(getattr(leaf, "ndim", 0))


def _parameters(step: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a step that data may be for: all but the context, and what is told already."""
    try:
        parameters = list(inspect.signature(step).parameters.values())
    except (TypeError, ValueError):  # a function that Python does not know the arguments of
        return []
    told = getattr(step, "keywords", {})
    first = parameters[:1] if parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL else []
    return [*first, *(p for p in parameters[1:] if p.name not in told)]


def environment_of(step: Any, env: VariableEnvironment | None) -> VariableEnvironment:
    """The environment of a compiled step, or the one that was given."""
    if isinstance(step, Compiled):
        return step._env
    if not callable(step):
        cure = "Give env.compile(step), or a function with env=env."
        raise GraphError(report(f"cannot train with {step!r:.60}: it is not a step", at=here(), cure=cure))
    if env is None:
        cure = "Give env.compile(step) in its place; or, to run it without compiling, add env=env."
        what = f"cannot train with the function {step_name(step)} alone: it belongs to no environment"
        raise GraphError(report(what, at=here(), cure=cure))
    return env


class _Probe:
    """A step that remembers what it returned and registered, with the signature of the one it calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        with suppress(TypeError, ValueError):
            self.__signature__ = inspect.signature(function)

    def __call__(self, ctx: Any, *args: Any, **kwargs: Any) -> Any:
        before = set(ctx.env._store.variables)
        self.returned = self.function(ctx, *args, **kwargs)
        self.constants = list(ctx.graph.constants)
        self.registered = {v.path: v.value for v in ctx.env if v.path not in before}
        return self.returned


def named(result: Any) -> list[tuple[str, Any]]:
    """What a step returned, by name: the keys of dicts, also within a tuple; there the first number is the loss."""
    found: list[tuple[str, Any]] = []
    if isinstance(result, tuple) and any(isinstance(part, dict) for part in result):
        rest = tuple(part for part in result if not isinstance(part, dict))
        return [*named(rest), *[pair for part in result if isinstance(part, dict) for pair in named(part)]]
    numbers = 0
    for path, leaf in leaves(result):
        words = [word.strip("'\"") for word in path.replace("]", "").split("[") if word]
        if isinstance(result, dict):
            found.append(("_".join(words), leaf))
        elif leaf is None or isinstance(leaf, Update):
            found.append((path, None))
        else:
            found.append((f"metric_{numbers}" if numbers else "loss", leaf))
            numbers += 1
    return [(name, None if isinstance(leaf, Update) else leaf) for name, leaf in found]


def _check_labels(table: Table, low: int, high: int, where: str) -> None:
    """Raise DataError unless all labels are in the range from ``low`` up to, but not including, ``high``."""
    place, count = None, 0
    for start, piece in pieces(table.array):
        bad = (piece < low) | (piece >= high)
        if bad.any():
            count += int(bad.sum())
            place = place or (start + first(bad)[0], *first(bad)[1:])
    if place is None:
        return
    facts = [f"{table.name}[{', '.join(map(str, place))}] is {table.array[place]}, in row {place[0]}"]
    facts += [f"{count} of {table.array.size} labels are out of range."]
    cure = f"The step has room for {high} classes: labels are whole numbers from {max(low, 0)} to {high - 1}."
    raise DataError(report(f"{table.name}{where} has a label that is out of range", at=here(), facts=facts, cure=cure))
