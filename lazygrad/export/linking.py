"""Object code -> a shared library, or a module of WebAssembly, by the linker that is at hand."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lazygrad.errors import BackendError, report
from lazygrad.export.signature import Signature
from lazygrad.export.targets import Machine
from lazygrad.graph.registry import here

__all__ = ["compiler", "linked"]

_SECONDS = 300  # a linker that takes longer hangs


def linked(code: bytes, machine: Machine, signature: Signature, libraries: str = "") -> bytes:
    """A library that can be loaded: of WebAssembly with its memory, which it exports.

    Args:
        code: the object code.
        machine: what it is for.
        signature: what it exports.
        libraries: what else it is linked with, as the linker says it.

    Raises:
        BackendError: there is no linker, or it fails.
    """
    command = [*(_web(machine, signature) if machine.is_web else _shared(machine))]
    try:
        with tempfile.TemporaryDirectory(prefix="lazygrad") as folder:
            source, target = Path(folder, "code.o"), Path(folder, "code.so")
            source.write_bytes(code)
            command += [str(source), "-o", str(target), *_words(libraries), *([] if machine.is_web else ["-lm"])]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
            failure = done.stderr.strip()
            if not done.returncode:
                return target.read_bytes()
    except (OSError, subprocess.SubprocessError) as reason:
        failure = str(reason)
    facts = [f"command:  {shlex.join(command)}", *failure.splitlines()[-5:]]
    cure = "Say shared=False for object code alone." if not libraries else ""
    raise BackendError(report("cannot link what is exported", at=here(), facts=facts, cure=cure))


def _words(command: str) -> list[str]:
    """What a shell would make of a command."""
    try:
        return shlex.split(command)
    except ValueError as reason:
        facts = [f"command:  {command}", str(reason)]
        raise BackendError(report("cannot link what is exported", at=here(), facts=facts)) from None


def _zig() -> list[str]:
    """The Zig compiler of the package ``ziglang``, which links for any machine; empty if it is not installed."""
    return [] if importlib.util.find_spec("ziglang") is None else [sys.executable, "-m", "ziglang"]


def compiler() -> list[str]:
    """The command of this machine's compiler of C: ``CC``, or what is usual; empty if there is none."""
    found = [name for name in ("cc", "gcc", "clang") if shutil.which(name)]
    return _words(os.environ.get("CC", "")) or found[:1]


def _shared(machine: Machine) -> list[str]:
    """The command that links a shared library."""
    own = compiler() if machine.processor == _own() else []
    if own:
        return [*own, "-shared"]
    if zig := _zig():
        return [*zig, "cc", "-target", machine.triple.replace("-unknown", ""), "-shared"]
    cure = "Install a C compiler, or `pip install 'lazygrad[export]'`, or say shared=False for object code alone."
    raise BackendError(report("cannot link a shared library: there is no linker", at=here(), cure=cure))


def _own() -> str:
    return os.uname().machine if hasattr(os, "uname") else ""


def _web(machine: Machine, signature: Signature) -> list[str]:
    """The command that links a module of WebAssembly."""
    found = shutil.which("wasm-ld")
    command = [found] if found else [*_zig(), "wasm-ld"]
    if len(command) == 1 and not found:
        cure = (
            "`pip install 'lazygrad[export]'`, or install wasm-ld of LLVM, or say shared=False for object code alone."
        )
        raise BackendError(report("cannot link WebAssembly: there is no linker", at=here(), cure=cure))
    exports: Sequence[str] = [signature.name, f"{signature.name}_workspace_size", f"{signature.name}_spec"]
    if signature.weights is not None:
        exports = [*exports, f"{signature.name}_weights_size"]
    return [*command, "--no-entry", *[f"--export={name}" for name in exports], "--export=__heap_base", "--strip-all"]
