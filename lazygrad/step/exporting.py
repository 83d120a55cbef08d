"""What a compiled step hands over to be exported: its plan for some arguments, and the arrays that it reads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lazygrad.export.source import Given, Outline, Source
from lazygrad.files.content import checked_path
from lazygrad.graph.spec import Shape, Spec
from lazygrad.step.resized import resized
from lazygrad.step.traced import Traced
from lazygrad.trees import leaves

if TYPE_CHECKING:
    from lazygrad.export.address import Address
    from lazygrad.step.compiled import Compiled
    from lazygrad.store.store import Store

__all__ = ["Exporting", "source_of"]


class Exporting:
    """What takes a compiled step elsewhere."""

    def _source(self, args: tuple[Any, ...]) -> Source:
        """The step for some arguments, with the numbers that its variables have now."""
        step = cast("Compiled", self)
        with step._store.lock:
            step.prepare(*args)
            arrays, _ = step._sign(args, {}, None)
            return source_of(step._known(), getattr(step, "__name__", "a step"), arrays, step._store)

    def _written(self, args: tuple[Any, ...]) -> tuple[Source, Callable[[Sequence[Shape]], Source]]:
        """The step for some arguments, of which no code is made; and what writes it for arrays of other shapes."""
        step = cast("Compiled", self)
        store, name = step._store, getattr(step, "__name__", "a step")

        def of(entry: Traced, outline: Outline, arrays: Sequence[Any], known: Mapping[str, Any]) -> Source:
            return replace(source_of(entry, name, arrays, store, known), outline=outline)

        with store.lock:
            store.check_idle()
            arrays, _ = step._sign(args, {}, None)
            specs = [Spec(tuple(array.shape), array.dtype) for array in arrays]
            source = of(*resized(step, args, specs, keep=True), {})
        known = {path: source.arrays[i] for path, i in source.plan.variables.items()}

        def again(shapes: Sequence[Shape]) -> Source:
            others = [spec._replace(shape=shape) for spec, shape in zip(specs, shapes, strict=False)]
            with store.lock:
                return of(*resized(step, args, others), known)

        return source, again

    def export(self, path: str | os.PathLike[str], *args: Any, **settings: Any) -> list[Path]:
        """Write the step for arguments like these as functions of C, or as a model of ONNX: neither needs Python.

        ``path`` is ``"folder/name"``: the function ``name`` is declared in ``name.h``, and is in ``name.o`` and in the
        library ``name.so``, which are made of the text ``name.ll``. It takes a pointer for every array among the
        arguments, one for every array that the step returns, and memory to work in. It has the numbers that the
        variables have now, and gives the same bits as the step where it is made for the same processor.

        A name that ends in ``.onnx`` makes a model of ONNX, with the same numbers within. Of its arrays the number of
        examples, the first size, may be any, if all arguments share it: the step is written for several to see that.
        See ``docs/how-to/export-onnx.md``.

        Args:
            path: where the files are written: all of them, or none.
            args: as the step is called; keyword arguments are given by :meth:`bound`.
            settings: ``target="host"``, or ``"x86-64-v2"``, ``"aarch64-linux"``, ``"wasm32"`` and the like;
                ``weights="inside"`` the code, or in a ``"file"`` beside; ``shared=True`` if a library is wanted, which
                it is for this machine and for WebAssembly; ``lapack=""``, or how a program is linked with LAPACK
                (``"-llapack"``), if the step may call it. Of a model: ``opset=18`` or later, the number of operators;
                ``batch=None`` for the sizes of the arguments given alone, a name for the first size, or a dict of
                names by axes, ``{"x": {0: "batch", 1: "time"}}``: an error says why one that is named cannot be open;
                ``lines=False`` if its nodes shall not say the lines of the step.

        Returns:
            The files.

        Raises:
            ExportError: something in the step cannot be exported, such as an update: it says the line.
            SaveError: a file cannot be written.
            BackendError: there is no compiler, or no linker; or the package ``onnx`` is not installed.
        """
        if checked_path(path, "export to").suffix.lower() == ".onnx":
            from lazygrad.export.onnx.model import export as export_onnx

            return export_onnx(*self._written(args), path, **settings)
        from lazygrad.export.c import export

        return export(self._source(args), path, **settings)

    def address(self, *args: Any, form: str = "arrays") -> Address:
        """The step for arguments like these as a function of C in this process, for native code that calls it.

        It has the numbers that the variables have now, may be called by any number of threads, and needs no lock of
        Python's.

        Args:
            args: as the step is called.
            form: ``"arrays"``: a pointer for every array, those of the arguments first, and 0 is returned;
                ``"scipy"``: ``double f(int n, double *x)``, for ``LowLevelCallable``; ``"filter"``, for
                ``scipy.ndimage.generic_filter``: ``int f(double *x, intptr_t n, double *value, void *data)``, of a step
                that makes one number of the numbers under a window; ``"logp"``, for samplers:
                ``int f(size_t n, const double *x, double *grad, double *value, void *data)``, of a step that returns a
                number and its gradient.

        Returns:
            A number, the address; its ``function`` is the same for ``ctypes`` and SciPy. The code is in memory as long
            as it is.

        Raises:
            ExportError: something in the step has no native form, or it does not fit the form.
            BackendError: there is no compiler.
        """
        from lazygrad.export.address import address

        return address(self._source(args), form)


NOTHING: Mapping[str, Any] = MappingProxyType({})


class _Mark:
    """Stands for an array in what a step returns."""


def source_of(
    entry: Traced, name: str, arrays: Sequence[Any], store: Store, known: Mapping[str, Any] = NOTHING
) -> Source:
    """A step as it was traced, with the numbers that its variables have now.

    Args:
        entry: what is known of its signature.
        name: of the step.
        arrays: its arguments that are arrays.
        store: of its environment.
        known: numbers of variables that have been read before, and are taken again.
    """
    plan, backend = entry.runner.plan, store.backend
    nodes = dict(zip(entry.sources, entry.runner.input_nodes, strict=True))
    inputs = [
        _given(said, Spec(tuple(array.shape), array.dtype), nodes.get(("argument", which)), entry)
        for which, (said, array) in enumerate(zip(entry.arguments, arrays, strict=True))
    ]
    for (kind, which), node in nodes.items():
        if kind == "feed":
            inputs.append(Given(which, plan.spec(node), node))
    store.settle()
    held = {i: store.find(v).live(store.state[0]) for v, i in plan.variables.items() if v not in known}
    held |= {node: entry.constants[which] for (kind, which), node in nodes.items() if kind == "constant"}
    found = {i: np.array(backend.to_numpy(array)) for i, array in held.items()}  # other threads may run steps
    found |= {i: known[v] for v, i in plan.variables.items() if v in known}
    return Source(plan, name, tuple(inputs), _outputs(entry), found, store.draws.word)


def _given(said: str, spec: Spec, node: int | None, entry: Traced) -> Given:
    return Given(said, spec if node is None else entry.runner.plan.spec(node), node)


def _outputs(entry: Traced) -> tuple[str, ...]:
    """Where each value stands in what the step returns."""
    marks = [_Mark() for _ in entry.runner.plan.values]
    paths = {id(leaf): path for path, leaf in leaves(entry.pack(marks))}
    found = [paths.get(id(mark), "") for mark in marks]
    if len(found) == 1 and (not found[0] or found[0] == "[0]"):
        return ("y",)
    # What lies in a tuple has a number for a name.
    return tuple([f"y{path[1:-1]}" if path[1:-1].isdigit() else re.sub(r"^\[(?=\d)", "y[", path) for path in found])
