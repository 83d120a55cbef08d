"""A step as kernels of machine code and a table that says in which order they run.

Every distinct kernel is compiled once, however often it is used: the thousand layers of a network share
theirs. An instruction of the table is a kernel, the addresses it works on, and the chunks its work is cut
into. What has no native form is called back on NumPy between two stretches of the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from lazygrad.define.kinds import item
from lazygrad.engine.lower.fuse import Entry
from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.kernels import Kernel, Spare
from lazygrad.engine.lower.regions import Looped
from lazygrad.engine.lower.turns import SmallLoop
from lazygrad.engine.lower.ways import Way, Ways
from lazygrad.engine.memory import Buffer
from lazygrad.engine.table.arguments import Layout, Moving
from lazygrad.engine.table.described import Carry, Read, Setting
from lazygrad.plan import Plan

__all__ = ["NUMBER", "Bundle", "NumpyCall", "Inside", "Instruction", "Module", "Native", "Repeat", "Results", "Step"]

NUMBER = ("number",)  # the key of an argument that is a number, and no address
MODULE = 1 << 18  # characters of a module, so that compilation can be left between two of a large step


class Module(NamedTuple):
    """Kernels that are compiled together."""

    text: str
    names: list[str]


@dataclass(frozen=True)
class Instruction:
    """A kernel, by its name in the module, and what it works on.

    ``flush``: whether results that are below the least normal number become zero; ``writes``: those of its arguments
    that it writes.
    """

    name: str
    arguments: tuple[Any, ...]
    chunks: int
    entry: int
    flush: bool = False
    writes: frozenset[Any] = frozenset()


class Bundle(NamedTuple):
    """Instructions that do not wait for each other, launched as one.

    Attributes:
        name: of the launch.
        kernels: the names of the kernels that its warps may run.
        first, size: which instructions of the program they are.
        place: where its table begins among the arguments.
        table: of numbers; what they mean is said in ``engine/table/stages.py``.
    """

    name: str
    kernels: tuple[str, ...]
    first: int
    size: int
    place: int
    table: tuple[int, ...]

    @property
    def chunks(self) -> int:
        """Of all its instructions."""
        return self.table[self.size]


@dataclass(frozen=True, eq=False)
class Inside:
    """A body of a repeat.

    Attributes:
        native: its code.
        settings, reads: how those of its arguments are found that lie outside of it; their places are counted among
            the arguments.
    """

    native: Native
    settings: tuple[Setting, ...]
    reads: tuple[Read, ...]


@dataclass(frozen=True, eq=False)
class Repeat:
    """A stretch that the driver runs again and again, or one of two.

    Attributes:
        arguments: the key of its description, then its arrays.
        loop: what it is a form of.
        condition, bodies: what is run.
        carries: the arguments in which every carry lies.
        counted: the argument that is told the number of turns; 0: none.
        limited: the argument that says how many are made; 0: all.
        cleared: arguments that begin as zeros, with their bytes.
        flush: whether results that are below the least normal number become zero.
    """

    node: int
    entry: int
    arguments: tuple[Any, ...]
    loop: Looped
    condition: Inside | None
    bodies: tuple[Inside, ...]
    carries: tuple[Carry, ...]
    counted: int
    limited: int
    cleared: tuple[tuple[int, int], ...]
    flush: bool

    @property
    def uses(self) -> tuple[Inside, ...]:
        """All bodies, that of the condition first."""
        return self.bodies if self.condition is None else (self.condition, *self.bodies)


@dataclass(frozen=True)
class NumpyCall:
    """A call back to NumPy."""

    node: int
    entry: int


Step: TypeAlias = Instruction | Repeat | NumpyCall


@dataclass(frozen=True)
class Results:
    """Where what a plan returns and assigns is computed.

    Attributes:
        spares: nodes that are computed straight into the new array of a variable, with its name; or, in a body, to
            where its output of a number goes.
        copied: variables and outputs that are given a copy of a node, made by a kernel.
        foreign: the same of what has no native dtype, made by NumPy.
        outputs: nodes that are computed straight into the arrays that are returned.
    """

    spares: Mapping[int, str | int]
    copied: tuple[tuple[str | int, int], ...]
    foreign: tuple[tuple[str, int], ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Native:
    """What is constant about a plan's native code; made by :func:`lazygrad.engine.table.lower.lowered`.

    Attributes:
        ways: how each node of the plan is computed.
        entries: what is run, in order: kernels, products, repeats and calls back.
        program: the same as instructions, repeats and calls.
        functions: the text of every kernel, by name.
        definitions: the text of functions and tables beside them, by name.
        results: where what is returned and assigned is computed.
        buffers: what lies in the arena, by node or by what it is for.
        nbytes: bytes of the arena.
        inputs: nodes whose arrays are given at every call.
        block: the arguments of all instructions in one row: the key of a buffer, and where in it, in bytes.
        moving: what arrays that are given or made at a call must be, and which arguments they become.
        layout: of array objects, if it is known.
        stages: the place of every step of the program in time, where several run at once; else none.
        bundles: instructions that are launched together.
    """

    plan: Plan
    width: int
    ways: Ways
    entries: tuple[Kernel | SmallLoop | Entry, ...]
    program: tuple[Step, ...]
    functions: Mapping[str, str]
    definitions: Mapping[str, str]
    results: Results
    buffers: Mapping[Any, Buffer]
    nbytes: int
    inputs: tuple[int, ...]
    block: tuple[tuple[Any, int], ...]
    moving: Mapping[Any, Moving]
    layout: Layout | None
    stages: tuple[int, ...] = ()
    bundles: tuple[Bundle, ...] = ()

    @property
    def together(self) -> dict[str, tuple[str, ...]]:
        """The kernels of every bundle by its name, in bodies too."""
        found = {bundle.name: bundle.kernels for bundle in self.bundles}
        for step in self.program:
            for use in step.uses if isinstance(step, Repeat) else ():
                found |= use.native.together
        return found

    @property
    def apart(self) -> set[str]:
        """The kernels that are launched by themselves somewhere, in bodies too."""
        inside = {k for bundle in self.bundles for k in range(bundle.first, bundle.first + bundle.size)}
        found = {s.name for k, s in enumerate(self.program) if isinstance(s, Instruction) and k not in inside}
        for step in self.program:
            for use in step.uses if isinstance(step, Repeat) else ():
                found |= use.native.apart
        return found

    @property
    def spares(self) -> Mapping[int, str | int]:
        """Nodes that are computed straight into the new array of a variable, with its name."""
        return self.results.spares

    @property
    def foreign(self) -> tuple[tuple[str, int], ...]:
        """Variables that NumPy gives a copy of a node."""
        return self.results.foreign

    @property
    def is_shared(self) -> bool:
        """Whether several threads may work on an instruction, here or in a body."""
        return any(
            any(use.native.is_shared for use in step.uses) if isinstance(step, Repeat) else step.chunks > 1
            for step in self.program
            if not isinstance(step, NumpyCall)
        )

    @property
    def outputs(self) -> tuple[int, ...]:
        """Nodes that are computed straight into the arrays that are returned."""
        return self.results.outputs

    def key(self, node: Any) -> Any:
        """The buffer in which a node lies."""
        return key_of(self.results, node)

    def called_views(self) -> Iterator[View]:
        """What calls back read."""
        for step in self.program:
            if isinstance(step, NumpyCall) and self.ways.nodes[step.node].op is not item:
                for j in self.ways.nodes[step.node].inputs:
                    view = self.ways.view(j) if self.ways.way[j] is not Way.NUMBER else None
                    if view is not None:
                        yield view

    def modules(self) -> list[Module]:
        """The kernels in LLVM's language, cut into modules where they are many."""
        found: list[Module] = []
        names: list[str] = []
        length = 0
        for name, body in sorted(self.functions.items()):
            if names and length + len(body) > MODULE:
                found.append(self._module(names))
                names, length = [], 0
            names.append(name)
            length += len(body)
        return [*found, self._module(names)]

    def whole(self) -> Module:
        """The kernels that the table runs as one module, without what takes arrays of Python over."""
        return self._module(sorted(self.functions.keys() - {"take"}))

    def _module(self, names: list[str]) -> Module:
        head = "define i64 @{}(ptr noalias %arguments, i64 %begin, i64 %end) #0 {}"
        functions = [head.format(name, self.functions[name]) for name in names]
        width = f'"prefer-vector-width"="{32 * self.width}" "min-legal-vector-width"="{32 * self.width}"'
        definitions = [self.definitions[name] for name in sorted(self._called(functions))]
        text = "\n".join([*definitions, *functions, f"attributes #0 = {{ nounwind {width} }}", "!0 = !{}", ""])
        return Module(text, names)

    def _called(self, texts: list[str]) -> set[str]:
        """The definitions that texts name, and those that these name."""
        found: set[str] = set()
        while texts:
            named = set(re.findall(r"@[\w.$]+", "\n".join(texts)))
            texts = [self.definitions[name] for name in sorted(named & self.definitions.keys() - found)]
            found |= named & self.definitions.keys()
        return found

    def text(self) -> str:
        """All modules, in LLVM's language."""
        return "\n".join(module.text for module in self.modules())


def key_of(results: Results, node: Any) -> Any:
    """The buffer in which a node lies."""
    return Spare(results.spares[node]) if isinstance(node, int) and node in results.spares else node
