"""Plan -> Native: a step as kernels of machine code and a table that says in which order they run.

Every distinct kernel is compiled once, however often it is used: the thousand layers of a network share
theirs. An instruction of the table is a kernel, the addresses it works on, and the chunks its work is cut
into. What has no native form is called back on NumPy between two stretches of the table.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from lazygrad.codegen import describe
from lazygrad.codegen.arguments import Slot, layout, taking
from lazygrad.codegen.fuse import Entry, Rows, fused
from lazygrad.codegen.index import View
from lazygrad.codegen.kernels import Part, Spare
from lazygrad.codegen.memory import Buffer, lay_out
from lazygrad.codegen.products import Product, turned, write
from lazygrad.codegen.reuse import Form
from lazygrad.codegen.rows import Text, written
from lazygrad.codegen.totals import Partial, total_of_chunks
from lazygrad.codegen.ways import NATIVE, Ways
from lazygrad.codegen.writer import Writer
from lazygrad.kinds import item
from lazygrad.plan import Plan
from lazygrad.spec import Spec

__all__ = ["Call", "Instruction", "Module", "Native", "Spare"]

LARGE = 4096  # bytes; a value that is larger is computed where it is returned, a smaller one is copied


MODULE = 1 << 18  # characters of a module, so that compilation can be left between two of a large step


class Module(NamedTuple):
    """Kernels that are compiled together."""

    text: str
    names: list[str]


@dataclass
class Instruction:
    """A kernel, by its name in the module, and what it works on."""

    name: str
    arguments: list[Any]
    chunks: int
    entry: int


@dataclass
class Call:
    """A call back to NumPy."""

    node: int
    entry: int


class _Known(NamedTuple):
    """A kernel whose code has been written, and the names of what it works on."""

    text: Text
    names: list[Any]

    def renamed(self, names: list[Any]) -> Text:
        """The same code on other arrays."""
        other = dict(zip(self.names, names, strict=True))
        arguments = [
            Partial(other[key.node], key.chunks) if isinstance(key, Partial) else other[key]
            for key in self.text.arguments
        ]
        grown = frozenset(other[node] for node in self.text.grown)
        return replace(self.text, definitions={}, arguments=arguments, grown=grown)


class _Multiplied(NamedTuple):
    """The kernel of a product, with the bytes of its scratch memory, and that which copies an operand before."""

    kernel: Text
    scratch: int
    copy: Text | None = None
    operand: int = 0
    copied: int = 0


def _multiplied(product: Product, width: int) -> _Multiplied:
    w = Writer(width)
    found = turned(product, w)
    copy = None if found is None else Text(w.body(), dict(w.definitions), [], found.plan.chunks)
    w = Writer(width)
    plan = write(product if found is None else found.product, w)
    kernel = Text(w.body(), dict(w.definitions), [], plan.chunks)
    if found is None:
        return _Multiplied(kernel, plan.scratch)
    return _Multiplied(kernel, plan.scratch, copy, found.operand, found.size)


def _nothing() -> None:
    """Go on."""


@dataclass
class Native:
    """What is constant about a plan's native code.

    Attributes:
        program: instructions and calls, in order.
        functions: the text of every kernel, by name.
        buffers: what lies in the arena.
        places: for every node that lies in memory, the key of its buffer.
    """

    plan: Plan
    width: int
    program: list[Instruction | Call] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    buffers: dict[Any, Buffer] = field(default_factory=dict)
    look: Callable[[], None] = _nothing  # called now and then; raises if nobody wants the code any more

    def __post_init__(self) -> None:
        self._known: dict[Any, _Known] = {}
        self._products: dict[Product, _Multiplied] = {}
        self.look()
        self.ways = Ways(self.plan)
        self.look()
        self.entries = fused(self.ways)
        self._copies()
        self._outputs()
        self._readers()
        for number, entry in enumerate(self.entries):
            self.look()
            self._write(number, entry)
        self._lifetimes()
        self.nbytes = lay_out(list(self.buffers.values()))
        self._slots()

    # Where things lie.

    def _copies(self) -> None:
        """Variables that are given what lies elsewhere already are given a copy."""
        self.spares: dict[int, str] = {}
        self.foreign: list[tuple[str, int]] = []  # copies of what has no native dtype, made by NumPy
        self.copied: list[tuple[str, int]] = []  # copies made by kernels
        for name, i in self.plan.updates.items():
            lies = i in self.ways.stored or (self.ways.way[i] == "callback" and self.ways.nodes[i].op is not item)
            if lies and i not in self.spares:
                self.spares[i] = name
                continue
            if not self.ways.spec(i).size:
                continue
            if self.ways.spec(i).dtype not in NATIVE:
                self.foreign.append((name, i))
                continue
            self.copied.append((name, i))
            self.entries.append(Rows(describe.copy(self.ways, i, Spare(name))))

    def _outputs(self) -> None:
        """Values that are computed straight into the arrays that are returned."""
        self.outputs: list[int] = []
        for i in dict.fromkeys(self.plan.values):
            stored = i in self.ways.stored
            if stored and i not in self.spares and self.ways.spec(i).nbytes > LARGE:
                self.outputs.append(i)

    def _readers(self) -> None:
        """Nodes that must be in memory, as another entry reads them."""
        ways = self.ways
        self.external = {*self.plan.values, *self.plan.updates.values()} & ways.stored
        self.last: dict[int, int] = {}
        maker: dict[int, int] = {}
        for number, entry in enumerate(self.entries):
            if isinstance(entry, Rows):
                for s in entry.statements:
                    node = s.target.node if isinstance(s.target, Part) else s.node
                    if not isinstance(s.target, Spare):
                        maker.setdefault(node, number)
            else:
                maker[entry.node] = number
        self.maker = maker
        for number, entry in enumerate(self.entries):
            anywhere = (
                {r.node for s in entry.statements for r in s.reads if r.at is None}
                if isinstance(entry, Rows)
                else set()
            )
            for node in self._read(entry):
                self.last[node] = number
                if maker.get(node) != number or node in anywhere:
                    self.external.add(node)

    def _read(self, entry: Entry) -> list[int]:
        ways = self.ways
        if isinstance(entry, Rows):
            return [node for s in entry.statements for node, _, _ in s.reads]
        found = []
        for j in ways.nodes[entry.node].inputs:
            if ways.nodes[entry.node].op is item:
                found.append(j)
                continue
            view = ways.view(j)
            if view is not None:
                found.append(view.buffer)
        return found

    def key(self, node: Any) -> Any:
        """The buffer in which a node lies."""
        if isinstance(node, int) and node in self.spares:
            return Spare(self.spares[node])
        return node

    def _lifetimes(self) -> None:
        """Every buffer lives from the entry that writes it to the last that reads it."""
        end = len(self.entries)
        for instruction in self.program:
            if isinstance(instruction, Call):
                self._lives(instruction.node, instruction.entry)
                continue
            for key in instruction.arguments:
                if isinstance(key, int) and key in self.maker:
                    self._lives(key, instruction.entry)
        for i in self.plan.values:
            if i in self.buffers:
                self.buffers[i].last = end

    def _lives(self, node: int, entry: int) -> None:
        spec = self.ways.nodes[node].spec
        if node in self.spares or node in self.outputs or not isinstance(spec, Spec):
            return
        buffer = self.buffers.get(node)
        if buffer is None:
            self.buffers[node] = Buffer(spec, self.maker[node], self.last.get(node, self.maker[node]))

    # Code.

    def _write(self, number: int, entry: Entry) -> None:
        if isinstance(entry, Rows):
            self._rows(number, entry)
        elif entry.kind == "product":
            self._product(number, entry.node)
        else:
            self.program.append(Call(entry.node, number))

    def _rows(self, number: int, entry: Rows) -> None:
        kernel = entry.kernel(self.external)
        form = Form(kernel)
        known = self._known.get(form.key)
        if known is None:
            text = written(kernel, self.width)
            self._known[form.key] = _Known(text, form.names)
        else:
            text = known.renamed(form.names)
        self.external |= text.grown
        self._kernel(text, number)
        for key in dict.fromkeys(text.arguments):
            if isinstance(key, Partial):
                s = kernel.made[key.node]
                partial = Spec((key.chunks, *s.spec.shape), s.spec.dtype)
                self.buffers[key] = Buffer(partial, number, number)
                w, arguments = total_of_chunks(s, key, self.width)
                self._kernel(Text(w.body(), dict(w.definitions), arguments), number)

    def _product(self, number: int, node: int) -> None:
        product = self._form(node)
        made = self._products.get(product)
        if made is None:
            made = self._products[product] = _multiplied(product, self.width)
        operands: list[Any] = [self.ways.view(j) for j in self.ways.nodes[node].inputs]
        if made.copy is not None:
            copied = ("copied", node)
            self.buffers[copied] = Buffer(Spec((made.copied,), product.dtype), number, number)
            self._kernel(replace(made.copy, arguments=[operands[made.operand], copied]), number)
            operands[made.operand] = copied
        scratch = ("scratch", node)
        self.buffers[scratch] = Buffer(Spec((made.scratch,), np.dtype(np.uint8)), number, number)
        self._kernel(replace(made.kernel, arguments=[*operands, node, scratch]), number)

    def _form(self, node: int) -> Product:
        """The product of a node, with the strides of its operands."""
        ways = self.ways
        a, b = (ways.view(j) for j in ways.nodes[node].inputs)
        c = ways.view(node)
        assert a is not None
        assert b is not None
        assert c is not None
        batch = c.shape[:-2]

        def strides(view: View) -> Any:
            own = view.shape[:-2]
            steps = [0 if n == 1 else s for n, s in zip(own, view.steps[:-2], strict=True)]
            return ((0,) * (len(batch) - len(own)) + tuple(steps), *view.steps[-2:])

        m, n, k = c.shape[-2], c.shape[-1], a.shape[-1]
        return Product(batch, m, n, k, ways.spec(node).dtype, strides(a), strides(b), strides(c))

    def _kernel(self, kernel: Text, number: int) -> None:
        name = "k" + hashlib.sha256(kernel.body.encode()).hexdigest()[:20]
        self.functions.setdefault(name, kernel.body)
        self.definitions.update(kernel.definitions)
        self.program.append(Instruction(name, kernel.arguments, kernel.chunks, number))

    def called_views(self) -> Iterator[View]:
        """What calls back read."""
        for step in self.program:
            if isinstance(step, Call) and self.ways.nodes[step.node].op is not item:
                for j in self.ways.nodes[step.node].inputs:
                    view = self.ways.view(j) if self.ways.way[j] != "number" else None
                    if view is not None:
                        yield view

    # Arguments.

    def _slots(self) -> None:
        """The arguments of all kernels in one row, and what arrays given at a call become of them."""
        plan = self.plan
        self.inputs = sorted([*plan.placeholders.values(), *plan.constants])
        places: dict[Any, list[tuple[int, int]]] = {i: [] for i in (*self.inputs, *self.outputs)}
        self.block: list[tuple[Any, int]] = []  # the key of a buffer, and where in it, in bytes
        for step in self.program:
            for argument in step.arguments if isinstance(step, Instruction) else ():
                start, key = 0, argument
                if isinstance(argument, View):
                    start = argument.start * self.ways.spec(argument.buffer).dtype.itemsize
                    key = argument.buffer
                key = self.key(key)
                if key in places:
                    places[key].append((len(self.block), start))
                self.block.append((key, start))
        self.slots = {key: Slot(self.ways.spec(key), tuple(found)) for key, found in places.items()}
        self.layout = layout()
        if self.slots and self.layout is not None:
            self.functions["take"] = taking(list(self.slots.values()), self.layout)

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
