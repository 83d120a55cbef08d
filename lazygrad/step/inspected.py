"""What a compiled step tells of itself, beside running: its profile, where it is not finite, why it compiled again."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazygrad.plan import Plan
from lazygrad.step.called import step_name, takes_nothing
from lazygrad.step.looking import alone, checked_kind, drawing_of, found, found_natively, profiled
from lazygrad.step.signatures import Signatures
from lazygrad.step.traced import Traced
from lazygrad.store.store import Store

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment
    from lazygrad.profiling.profile import Profile
    from lazygrad.searching.finding import Finding
    from lazygrad.visualize.picture import Picture

__all__ = ["Inspected"]


class Inspected:
    """The base of a compiled step: what looks at it, and changes nothing."""

    _env: VariableEnvironment
    _store: Store
    _step: Callable[..., Any]
    _signatures: Signatures
    _precision: str | None
    prepare: Callable[..., Plan]
    _known: Callable[[], Traced]
    _entries: OrderedDict[Any, Traced]
    _last: Traced | None
    _sign: Callable[..., tuple[list[Any], Any]]

    def profile(self, *args: Any, runs: int = 100, feeds: dict[str, Any] | None = None, **kwargs: Any) -> Profile:
        """Where the time and the memory of a call with these arguments go: by kernel, by layer, by line.

        It waits for native code, runs that kernel by kernel on copies, and changes no variable; of a step that has not
        run yet those are registered that its first run would register, such as the state of an optimizer. Where there
        is no native code, it runs node by node. What shows a value or calls a hook is not called.

        Args:
            args, feeds, kwargs: what the step is called with.
            runs: how many runs the medians are of.

        Raises:
            TraceError, FeedError: as a call would.
            SpecError: ``runs`` is no whole number from 1 on.
            GraphError: several workers run the step together.
        """
        alone(self._env)
        store = self._store
        with store.lock:
            entry, inputs = self._given(args, feeds, kwargs)
            name = step_name(self._step)
            return store.alone("it is being profiled", lambda: profiled(name, store, entry.runner, inputs, runs))

    def render(
        self,
        path: str | os.PathLike[str],
        *args: Any,
        profile: Profile | bool | None = None,
        statistics: bool = False,
        fold: bool | int | None = None,
        feeds: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Path:
        """Draw the step as it runs, after all passes, into a file: layers, the gradient and the update as boxes.

        Nothing is changed. Without arguments it is drawn as it was called last.

        Args:
            path: the file; its suffix says the form: ``.html``, a page that needs nothing but a browser; ``.svg``,
                ``.png`` or ``.pdf``; or ``.dot`` for the text that Graphviz draws from.
            args, feeds, kwargs: what the step is called with.
            profile: what :meth:`profile` returned, or True to measure now: each box then says its share of the time.
            statistics: whether the step shall be run once on NumPy, for what the values of every node are like.
            fold: True folds every box; False draws node by node; a number says how many boxes deep things are seen. If
                not given, what has many nodes is folded. In a page all can be folded and unfolded.

        Returns:
            The path of the file.

        Raises:
            TraceError: there are no arguments, and it was not called yet, or they are needed; or as a call would.
            FeedError: as a call would.
            SpecError: the profile is of another step, or ``fold`` is neither True, False nor a number.
            SaveError: the suffix says no form, or the file cannot be written.
            BackendError: Graphviz is not installed; the text for it is written all the same.
            GraphError: several workers run the step together.
        """
        from lazygrad.visualize.graphs import checked, saved

        checked(path, fold)
        picture, plan = self._picture(args, feeds, kwargs, profile, bool(statistics))
        return saved(picture, plan.graph, path, fold)

    def _repr_html_(self) -> str | None:
        from lazygrad.step.drawing import picture_of
        from lazygrad.visualize.notebook import page_in_frame

        with self._store.lock:
            entry = self._last
            if entry is None:
                return None
            picture = picture_of(step_name(self._step), self._store, entry, None, None)
        return page_in_frame(picture)

    def _picture(
        self, args: tuple[Any, ...], feeds: Any, kwargs: dict[str, Any], profile: Any = None, statistics: bool = False
    ) -> tuple[Picture, Plan]:
        """The step as it runs with these arguments, or as it was called last."""
        from lazygrad.step.drawing import measured, picture_of, uncalled, values_of

        alone(self._env)
        store, name = self._store, step_name(self._step)
        is_measured = measured(profile)
        with store.lock:
            entry, inputs = self._drawn(args, feeds, kwargs)
            values = None
            if is_measured or statistics:
                given = inputs
                if given is None:
                    raise uncalled(name, "what is measured needs arguments")
                if is_measured:
                    what = "it is being profiled"
                    profile = store.alone(what, lambda: profiled(name, store, entry.runner, given, 100))
                if statistics:
                    draw = drawing_of(store, store.state.runs)
                    values = store.alone("it is being drawn", lambda: values_of(store, entry, given, draw))
            entry.native.wait()
            return picture_of(name, store, entry, profile or None, values), entry.runner.plan

    def _drawn(self, args: tuple[Any, ...], feeds: Any, kwargs: dict[str, Any]) -> tuple[Traced, list[Any] | None]:
        """The trace that is drawn, and its inputs, if they are known."""
        if args or kwargs or feeds or (self._last is None and takes_nothing(self._step)):
            return self._given(args, feeds, kwargs)
        from lazygrad.step.drawing import uncalled

        entry = self._last
        if entry is None:
            raise uncalled(step_name(self._step), "it has not been called yet")
        known = all(kind == "constant" for kind, _ in entry.sources)
        return entry, entry.inputs([], None, self._store.backend) if known else None

    def find(self, kind: str, *args: Any, feeds: dict[str, Any] | None = None, **kwargs: Any) -> Finding | None:
        """Where a NaN, or an infinity, comes from: the first node that is one though its operands are not.

        The step is run once on NumPy, node by node, and nothing is changed. The variables are taken as they are; if
        they are not finite any more, as they were before the last update. Where NumPy finds nothing, the native code
        that has run with such arguments is looked through. So after a call that gave a NaN this finds
        its cause, if the arguments are the same::

            loss, _ = step(x, y)
            if not np.isfinite(loss):
                print(step.find("nan", x, y))

        Args:
            kind: ``"nan"``, ``"inf"``, or ``"finite"`` for what is not finite, either of the two.
            args, feeds, kwargs: what the step is called with.

        Returns:
            Where it begins, with the user's line, the layer, the ranges of the operands and the rows of the batch; None
            if nothing that the step returns or assigns is so.

        Raises:
            SpecError: ``kind`` is something else.
            GraphError: several workers run the step together.
            TraceError, FeedError: as a call would.
        """
        kind = checked_kind(kind)
        finding = found(self._env, self._step, args, kwargs, feeds, kind, precision=self._precision)
        return finding or self._found_natively(kind, args, kwargs, feeds)

    def _found_natively(
        self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any], feeds: dict[str, Any] | None
    ) -> Finding | None:
        """What NumPy does not make bad, but the native code that has run with such arguments."""
        store = self._store
        with store.lock:
            arrays, key = self._sign(args, kwargs, feeds)
            entry = self._entries.get(key)
            if entry is None or entry.version != store.version:
                return None
            runner, inputs = entry.runner, entry.inputs(arrays, feeds, store.backend)
            return store.alone("a step is being looked through", lambda: found_natively(store, runner, inputs, kind))

    def _given(
        self, args: tuple[Any, ...], feeds: dict[str, Any] | None, kwargs: dict[str, Any]
    ) -> tuple[Traced, list[Any]]:
        """The trace for these arguments, compiled, and the arrays for its inputs."""
        self.prepare(*args, feeds=feeds, **kwargs)
        entry, backend = self._known(), self._store.backend
        arrays, _ = self._sign(args, kwargs, feeds)
        return entry, entry.inputs(arrays, feeds, backend)

    def explain_compiles(self) -> str:
        """Why it was traced and compiled, each time: which argument, or what it reads, was another one than before.

        See ``docs/how-to/compile-again.md``.
        """
        return self._signatures.told(step_name(self._step))
