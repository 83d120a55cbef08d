"""Writing a step as a function of C: a header, object code, a library to load, and the text it is made of."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lazygrad.engine.cpu.compiler import compiled
from lazygrad.engine.cpu.llvm import Unavailable, cross_compiled
from lazygrad.errors import BackendError, ExportError, SaveError, report
from lazygrad.export.code import coded
from lazygrad.export.header import header
from lazygrad.export.linking import linked
from lazygrad.export.signature import is_c_name
from lazygrad.export.source import Source
from lazygrad.export.targets import Machine, machine_of
from lazygrad.files.replacing import replace, target_of
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
    if weights not in ("inside", "file"):
        cure = "They are 'inside' the code, or in a 'file' beside it, which the program reads."
        raise ExportError(report(f"cannot export with weights={weights!r}", at=here(), cure=cure))
    if not is_c_name(name):
        cure = "It is the name of a function of C as well: letters, digits and _, such as 'predict'."
        raise ExportError(report(f"cannot export to {whole!r}", at=here(), cure=cure))
    try:
        machine = machine_of(target)
        link = shared if shared is not None else target == "host" or machine.is_web
        suffixes = [".h", ".o", ".ll", *([".wasm" if machine.is_web else ".so"] if link else [])]
        suffixes += [".weights"] if weights == "file" else []
        targets = _targets(whole, suffixes)
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
        ".h": header(code.signature, machine.triple, _version(), source.word, needs).encode(),
        ".o": made,
        ".ll": f'target triple = "{machine.triple}"\n'.encode() + code.module(),
        ".weights": code.weights,
    }
    if link:
        files[suffixes[3]] = linked(made, machine, code.signature, lapack)
    _write(whole, {targets[suffix]: files[suffix] for suffix in suffixes})
    return [Path(whole + suffix) for suffix in suffixes]


_CURE = "pip install llvmlite makes native code of it."


def _version() -> str:
    try:
        return version("lazygrad")
    except PackageNotFoundError:
        return "of no version"


def _compiled(text: str, machine: Machine) -> bytes:
    if machine.name == "host":
        return compiled(text, machine.level)
    return cross_compiled(text, machine.triple, machine.cpu, machine.features, machine.level)


def _targets(path: str, suffixes: list[str]) -> dict[str, Path]:
    """The files by their suffixes, if they can be written."""
    try:
        found = {suffix: target_of(path + suffix) for suffix in suffixes}
        folder = next(iter(found.values())).parent
        if not folder.is_dir():
            raise FileNotFoundError(2, os.strerror(2))
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, os.strerror(13))
    except (OSError, ValueError) as reason:
        raise _unwritable(path, reason) from reason
    return found


def _unwritable(path: str, reason: Exception) -> SaveError:
    what = getattr(reason, "strerror", None) or str(reason)
    cure = "No file was written. Choose a folder that exists and can be written to."
    facts = [f"{type(reason).__name__}: {what}"]
    return SaveError(report(f"cannot export to {path!r}", at=here(), facts=facts, cure=cure))


def _write(path: str, files: Mapping[Path, bytes]) -> None:
    """All of the files, or what was there before."""
    before: dict[Path, bytes | None] = {}
    try:
        for file, data in files.items():
            before[file] = file.read_bytes() if file.exists() else None
            replace(file, [data])
    except OSError as reason:
        for file, old in before.items():
            with contextlib.suppress(OSError):
                if old is None:
                    file.unlink(missing_ok=True)
                elif file.read_bytes() != old:
                    replace(file, [old])
        raise _unwritable(path, reason) from reason
