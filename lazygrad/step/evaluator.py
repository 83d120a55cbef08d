"""Update ops, and the evaluator that is told what to compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lazygrad.errors import FeedError, GraphError, SpecError, TraceError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.source import numeric
from lazygrad.ops.update import Update, group
from lazygrad.values.missing import FILL, is_masked, odd_in

if TYPE_CHECKING:
    from lazygrad.step.context import Context

T = TypeVar("T")

__all__ = ["Evaluator", "Update", "as_feed", "check_feeds", "group", "roots_of"]


def as_feed(name: str, array: Any, spec: Spec, backend: Any) -> Any:
    """``array`` as the placeholder wants it, copied only if its dtype or layout differ.

    Raises:
        FeedError: the shape differs, or the dtype cannot be cast without changing its kind.
    """
    try:
        fed = numeric(array, backend=backend)
    except SpecError as reason:
        what = f"cannot feed {name!r}: {reason.args[0].splitlines()[0]}"
        cure, facts = "Feed an array of real numbers or booleans.", []
        strange = None if is_masked(array) else odd_in(array)
        if is_masked(array):
            cure = FILL
        elif strange is not None:
            facts = [f"{strange.where}:  {strange.value!r:.60}"]
        raise FeedError(report(what, at=here(), facts=facts, cure=cure)) from None
    if fed.shape != spec.shape:
        raise FeedError(
            report(
                f"cannot feed {name!r}: its shape does not fit",
                at=here(),
                facts=[f"placeholder:  {spec}", f"fed:          {Spec(fed.shape, fed.dtype)}"],
                cure=f"Feed an array of shape {list(spec.shape)}.",
            )
        )
    if fed.dtype == spec.dtype:
        return backend.xp.asarray(fed, order="C")
    if not np.can_cast(fed.dtype, spec.dtype, "same_kind"):
        raise FeedError(
            report(
                f"cannot feed {name!r}: {fed.dtype} does not become {spec.dtype} by itself",
                at=here(),
                facts=[f"placeholder:  {spec}", f"fed:          {Spec(fed.shape, fed.dtype)}"],
                cure=f"Cast it first, with array.astype('{spec.dtype}').",
            )
        )
    return backend.xp.asarray(fed.astype(spec.dtype), order="C")


class Evaluator:
    """What to compute, collected; :meth:`run` computes it in one transaction.

    Every variable is read as it was before the run, whatever the order of the pushes. Updates take
    effect when everything has been computed; if anything fails, nothing has changed.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pushed: list[Tensor | Update] = []
        self._feeds: dict[str, Any] = {}

    def push(self, x: Tensor | Update) -> Evaluator:
        """Ask for the value of a tensor, or for an update to be made.

        Raises:
            GraphError: ``x`` is neither, or belongs to another call of the step.
        """
        if not isinstance(x, (Tensor, Update)):
            raise GraphError(
                report(
                    f"cannot push {x!r:.60}",
                    at=here(),
                    cure="Push a tensor, or an update op such as optimizer.update(variables, grads).",
                )
            )
        for t in [x] if isinstance(x, Tensor) else x.assignments:
            if t.graph.what and t.graph is not self._context.graph:
                t.graph.check_open("evaluate")
                cure = "What a turn computes comes out as a carry or as a y; x.show(label) prints it in every turn."
                what = f"cannot evaluate {t!r}: it is in the body of {t.graph.what}, which is being written"
                raise TraceError(report(what, at=here(), cure=cure))
            if t.graph is not self._context.graph:
                raise GraphError(
                    report(
                        f"cannot push {t!r}: it belongs to another graph",
                        at=here(),
                        cure="Every call of a step writes its own graph. Push tensors made in this call.",
                    )
                )
        self._pushed.append(x)
        return self

    def extend(self, xs: Iterable[Tensor | Update]) -> Evaluator:
        """Push several."""
        if isinstance(xs, (Tensor, Update)) or not isinstance(xs, Iterable):
            return self.push(xs)
        for x in xs:
            self.push(x)
        return self

    def feed(self, placeholder: str | Tensor, array: Any) -> Evaluator:
        """Give a placeholder its array for this run.

        Raises:
            FeedError: there is no such placeholder, or the array does not fit it.
        """
        name, spec = self._context._placeholder_spec(placeholder)
        self._feeds[name] = as_feed(name, array, spec, self._context.env._store.backend)
        return self

    def run(self) -> list[Any]:
        """Compute everything pushed; one entry a push, in push order, ``None`` for an update op.

        The arrays are the caller's: no later run changes them.

        Raises:
            FeedError: a placeholder that is needed has no array.
            GraphError: updates were pushed, but not the running statistics that layers have written.
            TraceError: the step is being traced or compiled.
            Exception: what a kernel raises, with a note that names the user's line.
        """
        return self._run(lambda values: values)

    def _run(self, pack: Callable[[list[Any]], T], last: bool = False) -> T:
        """:meth:`run`, which returns what ``pack`` makes of the list; that fails before anything is committed.

        What the step shows is evaluated along, once. If it is computed from placeholders that are not fed, it waits for
        another run, but not in the last.
        """
        context = self._context
        context.graph.check_open("evaluate")
        if context.tracing:
            raise TraceError(
                report(
                    "cannot evaluate: the step is being traced, and no values exist yet",
                    at=here(),
                    cure="Return the tensor from the step instead of evaluating it; "
                    "the compiled step then returns its value.",
                )
            )
        context._check_statistics(self._pushed)
        roots = [i for x in self._pushed for i in roots_of(x)]

        def packed(values: Sequence[Any]) -> T:
            rest = iter(values)
            return pack([next(rest) if isinstance(x, Tensor) else None for x in self._pushed])

        given = {**context._fed(), **self._feeds}
        roots += context.showing(roots, None if last else given)
        evaluated = context.guarded(roots)
        result = context.env._evaluate(context.graph, evaluated, given, packed)
        context.evaluated_with({*roots, *evaluated})
        return result


def roots_of(asked: Tensor | Update) -> list[int]:
    """The nodes to evaluate for a tensor or an update op."""
    return [asked.index] if isinstance(asked, Tensor) else [t.index for t in asked.assignments]


def check_feeds(feeds: Any) -> None:
    """Raise FeedError unless ``feeds`` is a dict, or None."""
    if feeds is not None and not isinstance(feeds, dict):
        what = f"cannot use a {type(feeds).__name__} as feeds"
        raise FeedError(report(what, at=here(), cure="feeds is a dict of arrays by the names of their placeholders."))


def missing_feed(name: str, spec: Spec) -> FeedError:
    """The error for a placeholder without an array."""
    return FeedError(
        report(
            f"placeholder {name!r} has no array",
            at=here(),
            facts=[f"placeholder:  {spec}"],
            cure=f"Feed it: .feed({name!r}, array), or env.run(step, feeds={{{name!r}: array}}).",
        )
    )


def fed_argument(name: str) -> FeedError:
    """The error for an array with the name of an argument."""
    cure = "Pass the array as the argument."
    return FeedError(report(f"cannot feed {name!r}: it is an argument of the step", at=here(), cure=cure))


def unknown_feed(name: str, known: Iterable[str]) -> FeedError:
    """The error for an array without a placeholder."""
    return FeedError(report(f"there is no placeholder {name!r}", at=here(), cure=nearest(name, known)))
