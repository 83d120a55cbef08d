"""What a step is given: a graph to write, and the environment's variables to write it with."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import FeedError, GraphError, SpecError, TraceError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Mismatch, Spec, fits, sized
from lazygrad.graph.tensor import Tensor, checked_dtype
from lazygrad.ops.random import Random
from lazygrad.ops.source import assign, constant, numeric, placeholder, replicated, source_of, variable
from lazygrad.step.called import argument_names, defined, is_array, step_name
from lazygrad.step.effects import check_updates, fed, needed, shown
from lazygrad.step.evaluator import Evaluator, Update, as_feed, fed_argument, roots_of, unknown_feed
from lazygrad.step.scaling import PRECISIONS, LossScaling
from lazygrad.step.widening import warn_if_wider
from lazygrad.store.variables import Variable
from lazygrad.trees import leaves, rebuilt
from lazygrad.values.rows import Rows, whole_rows
from lazygrad.workers.among import Among

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment
    from lazygrad.step.sent import Sent

__all__ = ["Context"]


@dataclass
class _Statistic:
    """A running statistic that a layer has written."""

    layer: str
    value: Tensor
    given: list[int]  # the assignments of it that ctx.updates() has made
    asked: bool = False


class Context:
    """One call of a step: the graph it writes, and everything it may write it with.

    Attributes:
        env: the environment.
        graph: the graph being written.
        random: draws, a :class:`Random`.
        tracing: whether values can not be asked for, because the step is traced or compiled.
        scaling: what scales the losses that gradients are taken of, if the precision of the step asks for it.
        sent: the step, if pickle or a copy has brought it into the environment.
    """

    def __init__(
        self,
        env: VariableEnvironment,
        graph: Graph,
        feeds: dict[str, Any],
        tracing: bool,
        precision: str | None = None,
    ) -> None:
        self.env = env
        self.graph = graph
        self.tracing = tracing
        graph.halves = None if precision is None else PRECISIONS[precision]
        self.scaling = LossScaling(self) if graph.halves == "float16" else None
        self.sent: Sent | None = None
        self.evaluated = False
        self.must_be_finite = False  # whether every evaluation is searched for what is not
        self._given = feeds
        self.among: Among = env._store.among
        self.is_own = False  # whether the step asks which worker it is, and so may be another one on each
        self.rows: dict[str, int] = {}  # of placeholders that are given a worker's rows: how many the batch has
        self._variables: dict[str, Tensor] = {}
        self._placeholders: dict[str, Tensor] = {}
        self._arguments: dict[str, Any] = {}
        self._statistics: dict[str, _Statistic] = {}
        self._roots: set[int] = set()  # what has been asked for
        self._shown = 0  # the nodes before this one have been looked through for what shows a value
        self._waiting: list[int] = []  # those found that have not been evaluated yet
        self._outdated: set[int] = set()  # what ctx.updates() gave before a statistic was written again
        graph.context = self

    def has(self, env: VariableEnvironment) -> bool:
        """Whether what belongs to ``env`` can be used in the step."""
        return env is self.env or (self.sent is not None and self.sent.stands(env))

    def variable(self, key: str | Variable) -> Tensor:
        """The value that a variable has before the run, as a tensor; in one call of a step always the same one.

        Args:
            key: its path, ``"ns/name"``, or the variable.

        Raises:
            VariableError: there is no such variable; names those that are near.
        """
        self.graph.check_open("read a variable")
        path = key.path if isinstance(key, Variable) else key
        known = self._variables.get(path)
        if known is not None:
            return known
        t = self._before(path)
        if self.among.size > 1 and not self.rows:
            t = replicated(t, self.among)
        self._variables[path] = t
        return t

    def _before(self, path: str) -> Tensor:
        """The value that a variable has before the run, whatever it is read as in this call."""
        read = self.graph.reads.get(path)
        if read is not None:
            return self.graph.tensor(read)
        found = self.env._store.find(path)
        t = variable.write(self.graph, name=found.path, shape=found.spec.shape, dtype=found.spec.dtype)
        self.graph.reads[path] = t.index
        return t

    @property
    def worker(self) -> int:
        """The number of this worker, from 0 on; 0 where there is one alone."""
        self.is_own = True
        return self.among.rank

    @property
    def workers(self) -> int:
        """How many workers run the step."""
        return self.among.size

    def _let(self, v: Variable, value: Tensor) -> None:
        """Let a variable be read as ``value`` in this call, a tensor of its shape and dtype."""
        self._variables[v.path] = value

    def variables(self, namespace: str | None = None, trainable: bool | None = True) -> list[Tensor]:
        """Variables in order of registration.

        Args:
            namespace: only those in this namespace and in namespaces within it; ``""`` is the default one alone.
            trainable: only those that are trainable, or that are not; ``None`` for both.
        """
        return [self.variable(v) for v in self.env._select(namespace, trainable)]

    def placeholder(self, name: str, shape: Any, dtype: Any = None) -> Tensor:
        """A tensor whose array is fed when it is evaluated. The same name gives the same tensor.

        Args:
            name: by which it is fed.
            shape: its sizes; -1 stands for the size of the array given as ``env.run(step, feeds={name: array})``.
            dtype: the environment's, if not given.

        Raises:
            FeedError: a size is -1 and no array was given, or the array does not fit.
            SpecError: the name stands for a placeholder of another shape or dtype.
        """
        if not isinstance(name, str):
            what = f"cannot use {name!r} as the name of a placeholder"
            raise SpecError(report(what, at=here(), cure="Its name is a string, by which it is fed."))
        dtype = checked_dtype(dtype) if dtype is not None else self.graph.dtype
        sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if any(size == -1 for size in sizes):
            sizes = self._filled(name, sizes)
        try:
            spec = fits(Spec(sized(sizes), dtype))
        except Mismatch as reason:
            raise SpecError(report(f"cannot make placeholder {name!r}", at=here(), cure=str(reason))) from None
        known = self._placeholders.get(name)
        if known is not None:
            if known.spec != spec or name in self._arguments:
                facts = [f"before:  {known.spec}, {known.origin.place}", f"now:     {spec}"]
                cure = "Use another name, or the same shape and dtype."
                if name in self._arguments:
                    facts[0] = f"before:  {known.spec}, argument of the step"
                    cure = "It is an argument of the step, which is a placeholder already: use the argument."
                raise SpecError(report(f"there is a placeholder {name!r} already", at=here(), facts=facts, cure=cure))
            return known
        t = placeholder.write(self.graph, name=name, shape=spec.shape, dtype=spec.dtype)
        self._placeholders[name] = t
        return t

    def _filled(self, name: str, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if name not in self._given:
            cure = f"Give its array when the step is run: env.run(step, feeds={{{name!r}: array}})."
            what = f"placeholder {name!r} has a size -1, and no array was given that it could be taken from"
            raise FeedError(report(what, at=here(), cure=cure))
        given: tuple[int, ...] = np.shape(self._given[name])
        if len(given) != len(sizes) or any(a not in (-1, b) for a, b in zip(sizes, given, strict=True)):
            facts = [f"placeholder:  {list(sizes)}", f"fed:          {list(given)}"]
            cure = "Sizes other than -1 must be those of the array."
            raise FeedError(report(f"cannot feed {name!r}: its shape does not fit", at=here(), facts=facts, cure=cure))
        return given

    def constant(self, value: Any, dtype: Any = None) -> Tensor:
        """A copy of an array, or a number, as a tensor. Python floats get the environment's dtype."""
        if isinstance(value, float) and dtype is None:
            dtype = self.graph.dtype
        if isinstance(value, (Tensor, bool, int, float, np.generic)):
            return tensor(value, self.graph, None if dtype is None else checked_dtype(dtype))
        return constant(self.graph, value, dtype, self.graph.dtype)

    def assign(self, target: str | Variable | Tensor, value: Any) -> Update:
        """An update op that gives a variable a new value, cast to the variable's dtype.

        Raises:
            SpecError: the shapes differ.
            VariableError: there is no such variable.
        """
        if isinstance(target, Tensor):
            target = source_of(target)
            node = target.graph.nodes[target.index]
            if not node.of(variable):
                facts = [f"target:  {target.spec}   {target.graph.describe(target.index)}"]
                cure = "Give the variable, its name, or the tensor that ctx.variable(name) returned."
                raise GraphError(report("cannot assign to what is not a variable", at=here(), facts=facts, cure=cure))
            target = node.params["name"]
        found = self.env._store.find(target.path if isinstance(target, Variable) else target)
        new = tensor(value, self.graph, found.spec.dtype)
        if new.shape != found.shape:
            facts = [f"variable:  {found.spec}", f"value:     {new.spec}   {self.graph.describe(new.index)}"]
            cure = "A variable keeps its shape: reshape the value, or lg.broadcast_to it."
            raise SpecError(report(f"cannot assign to variable {found.path!r}", at=here(), facts=facts, cure=cure))
        return Update([assign(new, name=found.path)])

    def updates(self) -> Update:
        """The updates that layers have written in this call: the running statistics of ``BatchNorm`` in training.

        Return it from the step, beside the optimizer's: ``return loss, adam.minimize(loss), ctx.updates()``. It holds
        what has been written so far, so call it after the last layer. There may be none; it is then empty.
        """
        self.graph.check_open("take updates")
        group: list[Tensor] = []
        for path, statistic in self._statistics.items():
            t = assign(statistic.value, name=path)
            statistic.given.append(t.index)
            group.append(t)
        return Update(group)

    def evaluator(self) -> Evaluator:
        """An evaluator for this graph."""
        return Evaluator(self)

    @functools.cached_property
    def random(self) -> Random:
        """Random draws, fresh at every run."""
        return Random(self.graph)

    # What layers do with a context.

    def _statistic(self, v: Variable) -> Tensor:
        """A running statistic: as it was written last in this call, else as it was before."""
        written = self._statistics.get(v.path)
        return self.variable(v) if written is None else written.value

    def _keep_statistic(self, layer: str, v: Variable, value: Tensor) -> None:
        """Let ``value`` be the new value of a running statistic, once :meth:`updates` is returned."""
        before = self._statistics.get(v.path)
        self._outdated.update(before.given if before is not None else ())
        self._statistics[v.path] = _Statistic(layer, value, [])

    def _check_statistics(self, asked: Iterable[Tensor | Update]) -> None:
        """Raise GraphError if updates are asked for, but not those of statistics written in this call."""
        updates = [x for x in asked if isinstance(x, Update)]
        if not updates or not self._statistics:
            return
        nodes, assigned = self.graph.nodes, [t.index for update in updates for t in update.assignments]
        named = {nodes[i].params["name"] for i in assigned if i not in self._outdated}
        for path, statistic in self._statistics.items():
            statistic.asked = statistic.asked or path in named
            if not statistic.asked:
                what = f"the running statistics of {statistic.layer!r} are not asked for: return ctx.updates() as well"
                cure = "Such as `return loss, optimizer.minimize(loss), ctx.updates()`, made after the last layer."
                facts = [f"written:  {path!r}, {self.graph.origins[statistic.value.index].place}"]
                raise GraphError(report(what, at=here(), facts=facts, cure=cure))

    # What the environment does with a context.

    def call(self, step: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the step, with placeholders in place of arrays."""
        names = argument_names(step, len(args))
        given = [self._placed(value, name) for name, value in zip(names, args, strict=True)]
        result = step(self, *given, **{name: self._placed(value, name) for name, value in kwargs.items()})
        if inspect.isgenerator(result) or inspect.iscoroutine(result):
            result.close()
            cure = "A step is an ordinary function, without yield or async; it returns what is to be computed."
            raise GraphError(report(f"cannot run {step_name(step)}: it is a generator", at=defined(step), cure=cure))
        if self.graph.guide is None and not self.env._store.is_widening_said:
            self.env._store.is_widening_said = warn_if_wider(self.graph, step_name(step))
        return result

    def _placed(self, tree: Any, name: str) -> Any:
        if type(tree) is np.ndarray:
            return self._argument(name, tree)
        return rebuilt(tree, [self._argument(name + path, leaf) for path, leaf in leaves(tree)])

    def _argument(self, path: str, leaf: Any) -> Any:
        if not is_array(leaf):
            return leaf
        while path in self._placeholders:  # two arguments of one name, by way of * and **
            path += "'"
        backend = self.env._store.backend
        count = whole_rows(leaf) if self.among.size > 1 else None
        leaf = np.asarray(leaf) if isinstance(leaf, Rows) else leaf
        array = backend.xp.asarray(numeric(leaf, backend=backend), order="C")
        shape = tuple(array.shape)
        if count is not None:
            self.rows[path] = count
            shape = (count, *shape[1:])
        t = placeholder.write(self.graph, name=path, shape=shape, dtype=array.dtype)
        self._placeholders[path] = t
        self._arguments[path] = array
        return t

    def _placeholder_spec(self, key: str | Tensor) -> tuple[str, Spec]:
        if isinstance(key, Tensor):
            node = key.graph.nodes[key.index]
            if not node.of(placeholder) or key.graph is not self.graph:
                cure = "Feed what ctx.placeholder returned in this call of the step, or its name."
                raise FeedError(report(f"cannot feed {key!r}: it is not a placeholder", at=here(), cure=cure))
            name = str(node.params["name"])
        else:
            name = key
        if name not in self._placeholders:
            raise unknown_feed(name, self._placeholders)
        return name, self._placeholders[name].spec

    def _fed(self) -> dict[str, Any]:
        """The arrays given before: arguments of the step, and ``feeds``."""
        fed = dict(self._arguments)
        for name, array in self._given.items():
            if name in self._arguments:
                raise fed_argument(name)
            _, spec = self._placeholder_spec(name)
            fed[name] = as_feed(name, array, spec, self.env._store.backend)
        return fed

    def fetch(self, result: Any) -> Any:
        """What the step returned, with arrays in place of tensors and None in place of update ops."""
        found = [leaf for _, leaf in leaves(result)]
        asked = [leaf for leaf in found if isinstance(leaf, (Tensor, Update))]
        check_updates(self.graph, self._roots.union(*map(roots_of, asked)), self._outdated)
        if not asked:
            if result is None and not self.evaluated and self.graph.nodes and not self.showing():
                raise GraphError(self._nothing_asked(result))
            if self.showing():
                self.evaluator()._run(lambda values: None, last=True)
            return result

        def packed(arrays: list[Any]) -> Any:
            rest = iter(arrays)
            return rebuilt(result, [next(rest) if isinstance(leaf, (Tensor, Update)) else leaf for leaf in found])

        return self.evaluator().extend(asked)._run(packed, last=True)

    def showing(self, roots: Collection[int] = (), names: Collection[str] | None = None) -> tuple[int, ...]:
        """The nodes that show a value, or call a hook, and have not been evaluated yet.

        Args:
            roots: what is evaluated: only those that it does not need, which are evaluated with it.
            names: of the placeholders that are fed: only those that need no other.
        """
        self._waiting += shown(self.graph, self._shown)
        self._shown = len(self.graph.nodes)
        if not self._waiting:
            return ()
        along = needed(self.graph, roots)
        return tuple(i for i in self._waiting if i not in along and (names is None or fed(self.graph, i, names)))

    def evaluated_with(self, roots: Collection[int]) -> None:
        """Record what has been evaluated: it need not be shown again."""
        if self._waiting:
            along = needed(self.graph, roots)
            self._waiting = [i for i in self._waiting if i not in along]
        self._roots.update(roots)

    def _nothing_asked(self, result: Any) -> str:
        return report(
            f"the step wrote {len(self.graph.nodes)} nodes and asked for none of them: it returned {result!r:.40}",
            facts=["Nothing would be computed, and no variable changed."],
            cure="Return what you want computed, such as `return loss, optimizer.minimize(loss)`.",
        )

    def asked(self, result: Any) -> tuple[int, ...]:
        """The roots in what a traced step returned, then what it shows; raises TraceError if there are none."""
        roots: list[int] = []
        evaluator = self.evaluator()
        for _, leaf in leaves(result):
            if isinstance(leaf, (Tensor, Update)):
                evaluator.push(leaf)
                roots += roots_of(leaf)
        check_updates(self.graph, set(roots), self._outdated)
        roots += self.showing(roots)
        if not roots and not evaluator._pushed:
            raise TraceError(self._nothing_asked(result))
        self._check_statistics(evaluator._pushed)
        return self.guarded(roots)

    def guarded(self, roots: Sequence[int]) -> tuple[int, ...]:
        """The roots of a run as they are evaluated: of a scaled loss, updates are made if gradients are finite."""
        return tuple(roots) if self.scaling is None else self.scaling.guarded(roots)
