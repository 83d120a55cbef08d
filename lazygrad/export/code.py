"""A traced step -> the module of LLVM that is exported, with what is said of it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazygrad.backends.numpy import NumpyBackend
from lazygrad.define.kinds import item
from lazygrad.engine.cpu.stretches import statics
from lazygrad.engine.lanes.target import cpu
from lazygrad.engine.lower.classify import decomposes, is_decomposition
from lazygrad.engine.memory import ALIGNMENT
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Native, NumpyCall
from lazygrad.errors import ExportError, report
from lazygrad.export.forms import in_other_words
from lazygrad.export.module import Pool, apart, constant, escaped, exported, is_empty
from lazygrad.export.signature import Parameter, Signature, c_names, c_type
from lazygrad.export.source import Source, checked
from lazygrad.export.spots import Spot
from lazygrad.export.targets import Machine
from lazygrad.graph.body import bodies
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec

__all__ = ["Code", "coded"]


@dataclass(frozen=True)
class Code:
    """A function as text of LLVM.

    Attributes:
        text: the module, but for the weights.
        signature: how it is called.
        weights: the numbers that it reads beside its arguments.
        apart: whether these are no part of the code.
    """

    text: str
    signature: Signature
    weights: bytes
    apart: bool

    def module(self) -> bytes:
        """All of it, in LLVM's language."""
        text = self.text.encode()
        return text if self._is_whole else _weights(escaped(self.weights), len(self.weights)) + text

    def object_code(self, compile: Callable[[str], bytes]) -> bytes:
        """All of it as what ``compile`` makes of text.

        LLVM need not read the weights, which takes long where they are large: they are entered into the object code in
        place of a mark. ``externally_initialized`` forbids it to compute with the mark.
        """
        if self._is_whole:
            return compile(self.text)
        mark = hashlib.sha256(self.text.encode()).hexdigest().encode()  # as long as an alignment
        mark += b"." * (len(self.weights) - len(mark))
        made = compile(_weights(mark, len(mark)).decode() + self.text)
        before, found, after = made.partition(mark)
        if not found or mark in after:
            raise RuntimeError("LLVM has not laid out the weights as they are")
        return b"".join([before, self.weights, after])

    @property
    def _is_whole(self) -> bool:
        return self.apart or not self.weights


def _weights(text: bytes, count: int) -> bytes:
    """The definition of the weights, ``count`` bytes as they stand in a string of LLVM."""
    head = f'@weights = private externally_initialized constant [{count} x i8] c"'
    return head.encode() + text + f'", align {ALIGNMENT}\n'.encode()


def coded(source: Source, machine: Machine, name: str, beside: bool = False, lapack: bool = False) -> Code:
    """The code of a step as the function ``name``.

    Args:
        source: the step.
        machine: what it is for.
        name: of the function.
        beside: whether the weights are no part of the code.
        lapack: whether it may call LAPACK.

    Raises:
        ExportError: something has no such form; nothing else was done.
    """
    source = in_other_words(checked(source))
    plan = source.plan
    target = replace(cpu(machine.lanes, lapack=lapack and decomposes(plan.graph)), windows=True)
    native = lowered(plan, target)
    _check(native, source.name, lapack)
    signature = _signature(source, name)
    pool = Pool("%weights" if beside else "@weights")
    xp: Any = NumpyBackend().xp
    fixed: dict[Native, dict[Any, Any]] = statics(native, xp)
    fixed[native] |= source.arrays
    given = {one.node: Spot(name) for one, name in zip(source.inputs, signature.pointers, strict=False)}
    if plan.stream is not None:
        given[plan.stream] = Spot("%stream")
        signature = replace(signature, draws=True)
    if beside:
        signature = replace(signature, weights=0)
    outputs = signature.pointers[len(source.inputs) :][: len(signature.outputs)]
    written = exported(native, machine, signature, given, outputs, pool, fixed)
    signature = replace(signature, weights=pool.nbytes if beside else None, workspace=written.workspace)
    data = pool.data
    more = {"checksum": zlib.crc32(data)} if beside else {}
    return Code(apart(written.text + _facts(signature, machine, source, more)), signature, data, beside)


def _check(native: Native, name: str, lapack: bool) -> None:
    """Raise ExportError for what has no native form, and is called back in Python."""
    plan, ways = native.plan, native.ways
    for step in native.program:
        if isinstance(step, NumpyCall) and not is_empty(native, step):
            made_of = ways.nodes[step.node]
            at = made_of.inputs[0] if made_of.op is item else step.node
            node = ways.nodes[at]
            facts = [f"operand:  {plan.graph.describe(j)}" for j in node.inputs[:4]]
            if at in ways.refused:
                facts.append(f"why:      {ways.refused[at]}")
            cure = "Leave it out of the step, and compute it where the function is called."
            inner = any(decomposes(body.graph) for body in bodies(node))
            if not lapack and (inner or is_decomposition(ways.nodes, node)):
                cure = "Say lapack='-llapack' to call the LAPACK that the program is linked with."
            what = f"cannot export {name}: {node.op.name!r} has no native form for these operands"
            raise ExportError(report(what, at=plan.origin(at), facts=facts, cure=cure))


def _signature(source: Source, name: str) -> Signature:
    plan = source.plan
    said = [one.said for one in source.inputs]
    names = c_names([*said, *source.outputs])
    inputs = [_parameter(n, one.said, one.spec, source.name) for n, one in zip(names, source.inputs, strict=False)]
    outputs = [
        _parameter(n, s, plan.spec(i), source.name)
        for n, s, i in zip(names[len(said) :], source.outputs, plan.values, strict=True)
    ]
    return Signature(name, tuple(inputs), tuple(outputs), draws=False, weights=None, workspace=0)


def _parameter(name: str, said: str, spec: Spec, step: str) -> Parameter:
    if c_type(spec.dtype) is None:
        cure = "Cast it with .astype('float32') in the step, or before it."
        raise ExportError(report(f"cannot export {step}: C has no type for {said!r}, {spec}", at=here(), cure=cure))
    return Parameter(name, said, spec)


def _facts(signature: Signature, machine: Machine, source: Source, more: dict[str, Any]) -> str:
    """Functions that say how large workspace and weights are, and all else as text."""
    size, name = f"i{8 * machine.pointer}", signature.name
    facts = signature.spec(target=machine.triple, cpu=machine.cpu, features=machine.features, word=source.word, **more)
    data = facts.encode() + b"\0"
    sizes = {"workspace_size": signature.workspace}
    if signature.weights is not None:
        sizes["weights_size"] = signature.weights
    found: Sequence[str] = [
        f'define {size} @"{name}_{what}"() nounwind {{\n  ret {size} {nbytes}\n}}\n' for what, nbytes in sizes.items()
    ]
    text = constant("@spec", data)
    return "".join([text, f'define ptr @"{name}_spec"() nounwind {{\n  ret ptr @spec\n}}\n', *found])
