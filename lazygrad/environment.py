"""The environment: owns variables, runs steps, and commits what they change as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lazygrad.backends.choice import backend_of, default_dtype
from lazygrad.errors import GraphError, SpecError, VariableError, report
from lazygrad.files import serialize
from lazygrad.files.exchange import fill
from lazygrad.files.filed import Filed
from lazygrad.graph.casting import saturates
from lazygrad.graph.graph import Graph, writing
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.ops.source import numeric
from lazygrad.rewrite import prune
from lazygrad.step.arranged import of_worker
from lazygrad.step.called import check_step
from lazygrad.step.comparing import compare
from lazygrad.step.compiled import Compiled
from lazygrad.step.context import Context
from lazygrad.step.evaluator import check_feeds, missing_feed
from lazygrad.step.guarded import Guarded
from lazygrad.step.guides import Guides, planned
from lazygrad.step.looking import CheckedRunner, said
from lazygrad.step.scaling import checked_precision
from lazygrad.store.copies import Copied
from lazygrad.store.draws import Draws, checked_seed, fresh_seed
from lazygrad.store.store import Store
from lazygrad.store.variables import Namespace, Slot, Variable, joined
from lazygrad.store.working import Working
from lazygrad.summary import shown, summary
from lazygrad.values.foreign import on_device

__all__ = ["VariableEnvironment"]

T = TypeVar("T")


class VariableEnvironment(Copied, Filed, Working):
    """Named variables, and the means to run functions that read and change them.

    Args:
        backend: ``"numpy"``, or ``"cupy"`` to keep the variables and compute on a GPU, or ``"auto"`` for that if there
            is one.
        seed: makes random draws reproducible; without one they differ from process to process.
        dtype: of what has no dtype of its own: draws, placeholders, Python floats. float32 or float64.
        workers: who else runs the same program, each with some of the rows of every batch: ``"mpi"`` for all processes
            that ``mpiexec`` has started, or a communicator of mpi4py. All make the environment, and run the same
            steps. Without a seed, that of worker 0 is taken.
        sharded: whether optimizers share their state out among the workers, so that each keeps and computes a part.

    Raises:
        BackendError: the backend is unknown, not installed, or finds no GPU; likewise the workers.
        WorkerError: another worker has failed, or does something else.
        SpecError: ``dtype`` is not a floating dtype.
    """

    _own = frozenset({"dtype", "_store", "_seed_chosen", "_guides"})

    def __init__(
        self,
        backend: str = "numpy",
        seed: int | None = None,
        dtype: Any = "float32",
        workers: Any = None,
        sharded: bool = False,
    ) -> None:
        self._begin(backend, seed, dtype)
        if workers is not None:
            self._join(workers, seed is not None, sharded)

    def _begin(self, backend: Any, seed: Any, dtype: Any) -> None:
        found = backend_of(backend)
        self.dtype = default_dtype(dtype)
        self._store = Store(found, Draws(fresh_seed() if seed is None else checked_seed(seed)))
        self._seed_chosen = seed is not None
        self._guides = Guides()

    # Variables.

    @property
    def backend(self) -> str:
        """Name of the backend."""
        return self._store.backend.name

    def name(self, name: str) -> Slot:
        """The slot ``name``; ``env.name("w").set(array)`` registers a variable.

        Raises:
            VariableError: the name is empty, or not printable.
        """
        return Slot(self, joined("", name))

    def namespace(self, name: str) -> Namespace:
        """The namespace ``name``; it need not have variables yet."""
        return Namespace(self, joined("", name))

    def default_namespace(self) -> Namespace:
        """The namespace of variables without one."""
        return Namespace(self, "")

    def namespaces(self) -> list[Namespace]:
        """The namespaces that have variables, in order of their first one."""
        return [Namespace(self, path) for path in dict.fromkeys(v.namespace for v in self)]

    def __iter__(self) -> Iterator[Variable]:
        with self._store.lock:
            self._store.settle()
            return iter(self._store)

    def __len__(self) -> int:
        with self._store.lock:
            self._store.settle()
            return len(self._store.variables)

    def __contains__(self, name: object) -> bool:
        with self._store.lock:
            self._store.settle()
            return name in self._store.variables

    def __getitem__(self, name: str) -> Any:
        """A copy of a variable's array.

        Raises:
            VariableError: there is no such variable; names those that are near.
        """
        with self._store.lock:
            self._store.settle()
            return self._store.find(name).live(self._store.state[0]).copy()

    def __setitem__(self, name: str, array: Any) -> None:
        """Give an existing variable new numbers, cast to its dtype.

        Raises:
            VariableError: there is no such variable.
            SpecError: the shapes differ.
        """
        with self._store.lock:
            self._store.check_idle()
            variable = self._store.find(name)
            new = self._store.backend.asarray(numeric(array, backend=self._store.backend))
            if tuple(new.shape) != variable.shape:
                facts = [f"variable:  {variable.spec}", f"array:     {Spec(tuple(new.shape), new.dtype)}"]
                cure = "A variable keeps its shape. Register another one under a new name."
                raise SpecError(report(f"cannot set variable {name!r}", at=here(), facts=facts, cure=cure))
            own = variable.spec.dtype
            new = self._store.backend.xp.cast(new, own) if saturates(new.dtype, own) else new
            self._store.alone("a variable is being set", lambda: self._store.put([(variable, new)]))

    def _register(self, path: str, array: Any, trainable: bool) -> Variable:
        with self._store.lock:
            self._store.check_idle()
            if path in self._store.variables:
                cure = f"Write env[{path!r}] = array to give it new numbers, or use another name."
                facts = [f"registered:  {self._store.variables[path].spec}"]
                raise VariableError(report(f"there is a variable {path!r} already", at=here(), facts=facts, cure=cure))
            given = numeric(array, self.dtype, self._store.backend)
            own = self._store.backend.asarray(given.copy() if on_device(given) else np.array(given))
            what = "a variable is being registered"
            return self._store.alone(what, lambda: self._store.add(self, path, own, bool(trainable)))

    def _freeze(self, variable: Variable, frozen: bool) -> None:
        """Say whether optimizers leave a variable alone; what was traced with another answer is traced anew."""
        with self._store.lock:
            self._store.check_idle()
            if self._is_writing():
                cure = "Freeze variables before the step, outside of it: a compiled step is written only once."
                raise GraphError(report(f"cannot freeze {variable!r}: a step is being written", at=here(), cure=cure))
            if variable._trainable == frozen:
                variable._trainable = not frozen
                self._store.version += 1

    def _select(self, namespace: str | None, trainable: bool | None) -> list[Variable]:
        def within(v: Variable) -> bool:
            return v.namespace == namespace or (bool(namespace) and v.namespace.startswith(f"{namespace}/"))

        return [
            v
            for v in self._store.variables.values()
            if (trainable is None or v._trainable == trainable) and (namespace is None or within(v))
        ]

    def summary(self) -> None:
        """Print a table of layers and variables, with shapes and counts."""
        with self._store.lock:
            print(summary(list(self), self._store.layers, set(self._store.names)))

    # Steps.

    def run(
        self,
        step: Callable[..., Any],
        *args: Any,
        feeds: dict[str, Any] | None = None,
        precision: str | None = None,
        check: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Call ``step(ctx, *args, **kwargs)`` and evaluate what it returns.

        Args:
            step: writes a graph, and returns tensors and update ops, in any nesting of tuples, lists and
                dicts, or evaluates within.
            args, kwargs: what the step takes; arrays, also nested ones, arrive as placeholders.
            feeds: arrays for placeholders that the step makes, by name.
            precision: as for :meth:`compile`.
            check: ``"finite"`` runs it on NumPy, node by node, and raises if what it computes is not finite, with the
                line where that begins. ``"gradient"`` first compares the gradient of the loss with differences, with
                respect to the first trainable variable; ``("gradient", path)`` with respect to another.

        Returns:
            What the step returned, with arrays in place of tensors and ``None`` in place of update ops.

        Raises:
            FiniteError: ``check="finite"`` found something. The environment is then as before.
            GradientError: ``check="gradient"`` found another number; likewise.
            LazygradError: the step is wrong; its message says where. The environment is then as before.
            Exception: what the step or a kernel raises; likewise.
        """
        guard = self._store.guard
        given = step, args, feeds, precision, kwargs, check
        return self._run(*given) if guard is None else guard.step(self._run, *given)

    def _run(
        self, step: Any, args: Any, feeds: dict[str, Any] | None, precision: Any, kwargs: dict[str, Any], check: Any
    ) -> Any:
        with self._store.lock:
            self._store.check_idle()
            check_step(step)
            check_feeds(feeds)
            precision = None if precision is None else checked_precision(precision, self.dtype)
            asked = None if check is None else said(check, self)
            if asked is not None and asked[0] == "gradient":
                compare(self, step, args, kwargs, feeds, asked[1])
            graph = Graph(self.dtype, self._guides.of(step, precision))
            context = Context(self, graph, feeds or {}, False, precision)
            context.must_be_finite = asked == ("finite", None)
            result, followed = self._write(
                graph, lambda: (context.fetch(context.call(step, args, kwargs)), graph.guide)
            )
            self._guides.keep(step, precision, graph if followed is None else None)
            return result

    def compile(
        self,
        step: Callable[..., Any],
        *,
        wait: bool = False,
        precision: str | None = None,
        synchronous: bool = True,
    ) -> Compiled:
        """The step, traced once for each signature of its arguments, and made native code; also a decorator.

        The first call with a signature runs at once, on NumPy; native code takes over when it is compiled.
        Both compute the same to within rounding. If a number, a string, a small array or a small container that the
        step reads beside its arguments (a global, a cell, an attribute) has changed, it is traced anew.

        Args:
            step: as for :meth:`run`.
            wait: whether the first call waits for native code. Then every call computes with the same
                rounding, and a program gives the same numbers whenever it is run.
            precision: ``"mixed"`` rounds the operands of products of matrices, and so of convolutions, to float16 and
                sums in float32; all else stays float32. Losses are scaled before gradients are taken, and a step whose
                gradients are not finite changes nothing but the scale. ``"mixed-bfloat16"`` rounds to bfloat16, whose
                range needs no scale.
            synchronous: whether a call on a GPU waits to see that it has not failed. If not, a later call, or whatever
                reads a variable, raises ``LateError``. On NumPy it means nothing.

        Raises:
            TraceError: when it is called: the step asked for a value.
            SpecError: there is no such precision, or the environment is not one of float32.
        """
        return (Compiled if self._store.guard is None else Guarded)(self, step, wait, precision, synchronous)

    def trace(
        self,
        step: Callable[..., Any],
        *args: Any,
        feeds: dict[str, Any] | None = None,
        precision: str | None = None,
        **kwargs: Any,
    ) -> Graph:
        """The graph of a step, with what it returned as roots; nothing is computed or changed."""
        with self._store.lock:
            self._store.settle()
            check_step(step)
            check_feeds(feeds)
            precision = None if precision is None else checked_precision(precision, self.dtype)
            graph = Graph(self.dtype)
            context = Context(self, graph, feeds or {}, True, precision)
            roots = self._write(graph, lambda: context.asked(context.call(step, args, kwargs)), keep=False)
            graph.roots = roots
            traced = prune(graph)
            traced.halves = graph.halves
            traced.layers = {path: kind for path, (kind, _) in self._store.layers.items()}
            traced.open = False
            return traced

    def _write(self, graph: Graph, body: Callable[[], T], keep: bool = True) -> T:
        """``body()``, with ``graph`` as the one being written. If it fails, what it registered is taken back."""

        def written() -> T:
            height = len(writing.graphs)
            try:
                writing.graphs.append(graph)
                return body()
            finally:
                del writing.graphs[height:]
                graph.close()

        return self._store.whole(written, keep)

    def _is_writing(self) -> bool:
        """Whether a step of this environment is being written, in this thread."""
        return any(graph.context is not None and graph.context.env is self for graph in writing.graphs)

    def _evaluate(
        self, graph: Graph, roots: tuple[int, ...], fed: dict[str, Any], pack: Callable[[Sequence[Any]], T]
    ) -> T:
        """Run the plan for ``roots`` with arrays for placeholders by name, as in :meth:`Store.transact`."""
        self._store.check_idle()
        graph.context.evaluated = True
        runner = planned(graph, roots, self._store.backend, of_worker(graph.context) if self._store.guard else None)
        if graph.context.must_be_finite:
            runner = CheckedRunner(runner.plan, self._store.backend)
        inputs = []
        for i, spec in zip(runner.input_nodes, runner.input_specs, strict=True):
            params = runner.plan.graph.nodes[i].params
            if "number" in params:
                inputs.append(runner.sent(i, graph.constants[params["number"]]))
            elif params["name"] in fed:
                inputs.append(fed[params["name"]])
            else:
                raise missing_feed(params["name"], spec)
        return self._store.transact(runner, inputs, pack)

    # Where it is.

    def to(self, backend: str) -> VariableEnvironment:
        """Keep the variables, and compute, on another backend from now on: ``"cupy"``, ``"numpy"`` or ``"auto"``.

        Layers, optimizers and compiled steps stay what they are; steps are traced anew. Random draws go on.

        Returns:
            The environment itself.

        Raises:
            BackendError: the backend is unknown, not installed, or finds no GPU.
            GraphError: a step is being written or evaluated.
        """
        self._store.move(backend_of(backend), self._guides.clear)
        return self

    # Files.

    @classmethod
    def load(cls, path: str | Path, backend: str = "numpy", dtype: Any = None) -> VariableEnvironment:
        """A new environment from a file that :meth:`save` wrote, or NumPy, safetensors, or the Rust crate autograd.

        Args:
            path: the file.
            backend: where the variables shall lie.
            dtype: the default dtype; the file's, if not given. The variables of a file of the Rust crate,
                which does not record a dtype, get it. Of another program's arrays those of floats are trainable.

        Raises:
            SaveError: the file is missing, damaged, or of an unknown version.
            BackendError, SpecError: the backend or the dtype cannot be used.
        """
        document = serialize.read(path, None if dtype is None else default_dtype(dtype))
        env = cls(backend=backend, seed=document.seed, dtype=document.dtype if dtype is None else dtype)
        fill(env, document)
        return env

    def __repr__(self) -> str:
        return f"<VariableEnvironment of {len(self)} variables on {self.backend}>"

    def _repr_html_(self) -> str:
        store = self._store
        with store.lock:
            variables = list(self)

            def numbers(v: Variable, count: int) -> Any:
                return store.backend.to_numpy(v.live(store.state.parity).reshape(-1)[:count])

            return shown(f"VariableEnvironment on {self.backend}", variables, set(store.names), numbers)
