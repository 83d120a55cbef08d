"""LLVM's text -> PTX, the assembly language of NVIDIA's GPUs; and PTX -> a cubin, where there is ``ptxas``."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from lazygrad.engine.cpu.llvm import Unavailable, locked, versions
from lazygrad.engine.cpu.worker import target_machine

with contextlib.suppress(ImportError, OSError):  # the twin for the CPU says why
    import llvmlite.binding as binding

__all__ = ["Assembler", "Usage", "assembled", "assembler", "ptx", "ptxas"]

TRIPLE = "nvptx64-nvidia-cuda"


class Usage(NamedTuple):
    """What a kernel takes of a GPU: registers a thread, and bytes of memory that hold what registers could not."""

    registers: int
    spilled: int


@functools.cache
def _target(architecture: str) -> Any:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        return target_machine(binding, TRIPLE, architecture, "", 3)
    except RuntimeError as reason:
        raise Unavailable(f"LLVM cannot write for NVIDIA's GPUs: {reason}") from reason


def ptx(text: str, architecture: str = "sm_70") -> str:
    """A module as PTX.

    Args:
        text: in LLVM's language.
        architecture: the oldest that it shall run on, such as ``sm_80``.

    Raises:
        Unavailable: there is no llvmlite to be used, or it knows no GPUs.
        RuntimeError: LLVM refuses the text.
    """
    versions()
    with locked():
        target = _target(architecture)
        header = f'target triple = "{TRIPLE}"\ntarget datalayout = "{target.target_data}"\n'
        with binding.parse_assembly(header + text, context=binding.create_context()) as module:
            module.verify()
            options = binding.create_pipeline_tuning_options(speed_level=2)
            options.loop_vectorization = options.slp_vectorization = False
            builder = binding.create_pass_builder(target, options)
            builder.getModulePassManager().run(module, builder)
            return str(target.emit_assembly(module))


class Assembler(NamedTuple):
    """NVIDIA's assembler, what it says of itself, and what it writes for: newer ones have left older GPUs out."""

    program: Path
    version: str
    architectures: frozenset[str]


@functools.cache
def assembler() -> Assembler | None:
    """The assembler of this machine, with what it says of itself; None where there is none."""
    program = ptxas()
    if program is None:
        return None
    version, options = (
        subprocess.run([str(program), asked], capture_output=True, text=True, check=False)
        for asked in ("--version", "--help")
    )
    if version.returncode or options.returncode:
        return None
    return Assembler(program, version.stdout, frozenset(re.findall(r"'(sm_\d+[a-z]?)'", options.stdout)))


@functools.cache
def ptxas() -> Path | None:
    """NVIDIA's assembler: of the wheel ``nvidia-cuda-nvcc``, or of a CUDA toolkit; None where there is none."""
    name = "ptxas.exe" if os.name == "nt" else "ptxas"
    for folder in [sysconfig.get_path("purelib"), *sys.path]:
        found = sorted(Path(folder or ".").glob(f"nvidia/*/bin/{name}"))
        if found:
            return found[-1]
    there = shutil.which(name)
    return None if there is None else Path(there)


def assembled(text: str, architecture: str) -> tuple[bytes, dict[str, Usage]]:
    """PTX as a cubin, and what each kernel takes.

    Raises:
        Unavailable: there is no ``ptxas``.
        RuntimeError: it refuses the text; its words.
    """
    program = ptxas()
    if program is None:
        raise Unavailable("there is no ptxas: install the wheel nvidia-cuda-nvcc")
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "module.ptx", Path(folder) / "module.cubin"
        source.write_text(text, encoding="ascii")
        command = [str(program), "-v", f"-arch={architecture}", "-o", str(made), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr or done.stdout)
        return made.read_bytes(), dict(_usages(done.stdout + done.stderr))


def _usages(said: str) -> list[tuple[str, Usage]]:
    """What ``ptxas -v`` says of every kernel."""
    found = []
    for part in re.split(r"Compiling entry function '", said)[1:]:
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        registers = re.search(r"Used (\d+) registers", part)
        found.append((part[: part.index("'")], Usage(int(registers[1]) if registers else 0, spilled)))
    return found
