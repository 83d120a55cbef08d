"""Writing a step as a function of C: a header, object code, a library to load, and the text it is made of."""

from __future__ import annotations

import os
from pathlib import Path

from lazygrad.engine.cpu.compiler import compiled
from lazygrad.engine.cpu.llvm import Unavailable, cross_compiled
from lazygrad.errors import BackendError, ExportError, report
from lazygrad.export.code import coded
from lazygrad.export.header import header
from lazygrad.export.linking import linked
from lazygrad.export.signature import is_c_name
from lazygrad.export.source import Source, own_version
from lazygrad.export.targets import Machine, machine_of
from lazygrad.export.together import targets_of, write
from lazygrad.graph.registry import here

__all__ = ["export"]


def export(
    source: Source,
    path: str | os.PathLike[str],
    target: str = "host",
    weights: str = "inside",
    shared: bool | None = None,
    lapack: str = "",
) -> list[Path]:
    """Write ``path.h``, ``path.o``, ``path.ll``, and a library: all of them, or none.

    The arguments are those of :meth:`lazygrad.Compiled.export`.

    Returns:
        The files.

    Raises:
        ExportError: something in the step cannot be exported, or a setting is another one.
        SaveError: a file cannot be written.
        BackendError: there is no compiler, or no linker.
    """
    whole = os.fspath(path)
    name = os.path.basename(whole)
    _check(name, whole, weights, shared, lapack)
    try:
        machine = machine_of(target)
        link = shared if shared is not None else target == "host" or machine.is_web
        suffixes = [".h", ".o", ".ll", *([".wasm" if machine.is_web else ".so"] if link else [])]
        suffixes += [".weights"] if weights == "file" else []
        targets = targets_of(whole, suffixes)
        code = coded(source, machine, name, weights == "file", bool(lapack))
        made = code.object_code(lambda text: _compiled(text, machine))
    except Unavailable as reason:
        raise BackendError(report("cannot export", at=here(), facts=[str(reason)], cure=_CURE)) from reason
    except RuntimeError as reason:
        if isinstance(reason, BackendError):
            raise
        facts = [str(reason).splitlines()[0] if str(reason) else type(reason).__name__]
        raise ExportError(report(f"cannot export {source.name} for {target!r}", at=here(), facts=facts)) from reason
    needs = " ".join([*(["-lm"] if not machine.is_web else []), *([lapack] if lapack else [])])
    files = {
        ".h": header(code.signature, machine.said, own_version() or "of no version", source.word, needs).encode(),
        ".o": made,
        ".ll": f'target triple = "{machine.triple}"\n'.encode() + code.module(),
        ".weights": code.weights,
    }
    if link:
        files[suffixes[3]] = linked(made, machine, code.signature, lapack)
    write(whole, {targets[suffix]: files[suffix] for suffix in suffixes})
    return [Path(whole + suffix) for suffix in suffixes]


def _check(name: str, whole: str, weights: object, shared: object, lapack: object) -> None:
    """Raise ExportError for settings that are none."""
    if weights not in ("inside", "file"):
        cure = "They are 'inside' the code, or in a 'file' beside it, which the program reads."
        raise ExportError(report(f"cannot export with weights={weights!r}", at=here(), cure=cure))
    if shared not in (None, False, True):
        cure = "It is True if a library is wanted, or False."
        raise ExportError(report(f"cannot export with shared={shared!r}", at=here(), cure=cure))
    if not isinstance(lapack, str):
        cure = "It says how a program is linked, such as '-llapack'."
        raise ExportError(report(f"cannot export with lapack={lapack!r}", at=here(), cure=cure))
    if not is_c_name(name):
        cure = (
            "It is the name of a function of C as well: letters, digits and _, such as 'predict', and no word of C or "
            "C++, nor of their libraries."
        )
        stem = os.path.splitext(name)[0]
        if stem != name and is_c_name(stem):
            cure += f" The files get suffixes of their own: leave out {name[len(stem) :]!r}."
        raise ExportError(report(f"cannot export to {whole!r}", at=here(), cure=cure))


_CURE = "pip install llvmlite makes native code of it."


def _compiled(text: str, machine: Machine) -> bytes:
    if machine.name == "host":
        return compiled(text, machine.level)
    return cross_compiled(text, machine.triple, machine.cpu, machine.features, machine.level)
