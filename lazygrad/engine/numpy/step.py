"""Plan -> Program: a step as one Python function of NumPy calls that write into memory laid out beforehand.

What never changes between runs is worked out once: where every array lies, every view of one, every
dtype. What is left is a straight list of calls, whose source can be read: ``compiled.source()``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from lazygrad.backends.numpy import NumpyBackend
from lazygrad.define.kinds import Declared, Elementwise, Movement, item
from lazygrad.define.region import Region
from lazygrad.engine.machine import region_kernel
from lazygrad.engine.memory import Buffer, lay_out
from lazygrad.engine.trace.calls import calls_of, play
from lazygrad.engine.trace.recorder import OUT, Call, NotRecorded, Recorder, Value
from lazygrad.engine.trace.tracing import NotTraced
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Mismatch, Spec
from lazygrad.ops.movement import permute_dims, reshape
from lazygrad.ops.source import _literal, assign, placeholder, variable
from lazygrad.plan import Plan
from lazygrad.store.draws import Drawing

__all__ = ["Program"]

Names = dict[str, Any]


class Program:
    """The source of a step, and how to make the arrays it names.

    A name of an array that does not move (a variable, a buffer, a view of one) is a global of the
    function, made when the program is bound. A name of one that does (a feed, what an opaque kernel
    returns) is a local.
    """

    def __init__(self, plan: Plan, xp: Any) -> None:
        self.plan = plan
        self.xp = xp
        self.lines: list[str] = []
        self.nodes: list[int] = []  # for each line the node it computes
        self.fixed: Names = {}  # functions and numbers, the same in every binding
        self._fixed_names: dict[Any, str] = {}
        self.recipes: list[tuple[str, Callable[[Names], Any]]] = []  # arrays, made in this order when bound
        self.names: dict[int, str] = {}  # the name of each node's array
        self.globals: set[str] = set()  # the names that are globals
        self.contiguous: set[str] = set()
        self.buffers: dict[str, Buffer] = {}
        self.owners: dict[int, set[str]] = {}  # the buffers that a node's array may lie in
        self.spares: dict[int, str] = {}  # a node whose result is to be written into a variable's spare array
        self.written: dict[int, str] = {}  # a node whose result is written there
        self.inputs: list[int] = []
        self.last_use = plan.last_use
        self._choose_spares()
        for i, node in enumerate(plan.graph.nodes):
            self._write(i, node)
        self._finish()
        self.nbytes = lay_out(list(self.buffers.values()))
        self.source = self._source()
        self.filename = f"<lazygrad step {id(self):x}>"
        self.code = compile(self.source, self.filename, "exec")

    def _choose_spares(self) -> None:
        """A node that computes one variable's new value writes it where that will lie."""
        for name, i in self.plan.updates.items():
            node = self.plan.graph.nodes[i]
            if i not in self.spares and not self.plan.static[i] and node.inputs and not isinstance(node.op, Movement):
                self.spares[i] = name

    # Names.

    def _fix(self, name: str, value: Any, key: Any = None) -> str:
        """A global of the function that is the same in every binding; equal ones share a name."""
        known = self._fixed_names.get(key or value)
        if known is None:
            known = self._fixed_names[key or value] = name if name not in self.fixed else f"{name}_{len(self.fixed)}"
            self.fixed[known] = value
        return known

    def _recipe(self, name: str, make: Callable[[Names], Any]) -> str:
        self.recipes.append((name, make))
        self.globals.add(name)
        return name

    def _buffer(self, name: str, spec: Spec, first: int, last: int) -> str:
        buffer = self.buffers[name] = Buffer(spec, first, last)
        self.contiguous.add(name)
        return self._recipe(name, lambda names: _view(names["_arena"], buffer))

    def _line(self, i: int, text: str) -> None:
        self.lines.append(text)
        self.nodes.append(i)

    # One node.

    def _write(self, i: int, node: Node) -> None:
        plan = self.plan
        if i in plan.constants or node.of(placeholder):
            self.names[i] = f"x{i}"
            self.contiguous.add(self.names[i])
            self.inputs.append(i)
        elif node.of(variable):
            key = node.params["name"]
            self.names[i] = self._recipe(f"w{i}", lambda names: names["_live"][key])
            self.contiguous.add(self.names[i])
        elif i == plan.stream:
            self.names[i] = self._recipe("stream", lambda names: names["draw"].stream)
            self.contiguous.add("stream")
        elif plan.static[i]:
            self._static(i, node)
        elif node.of(assign):
            self._passed(i, node.inputs[0])
        elif self._is_view(node):
            self._moved(i, node)
        else:
            self._compute(i, node)
        for j in set(node.inputs):
            name = self.names[j]
            if self.last_use[j] == i and name not in self.globals and j not in self.inputs:
                self._line(i, f"{name} = None")

    def _static(self, i: int, node: Node) -> None:
        operands = [self.names[j] for j in node.inputs]
        xp, op, params = self.xp, node.op, node.params

        def make(names: Names) -> Any:
            return _checked(self.plan, i, op.kernel, xp, *[names[o] for o in operands], **params)

        self.names[i] = self._recipe(f"c{i}", make)

    def _is_view(self, node: Node) -> bool:
        """Whether the kernel only looks at its operand's memory in another way."""
        view = getattr(node.op, "view", None)
        if view is None:
            return False
        if isinstance(node.op, Movement) and not node.op.own:
            specs = tuple([self.plan.graph.nodes[j].spec for j in node.inputs])
            if not node.op.looks(node.key, specs, node.spec):
                return False
        return view == "always" or self.names[node.inputs[0]] in self.contiguous

    def _moved(self, i: int, node: Node) -> None:
        """A view: made once if its operand does not move."""
        (j,) = node.inputs
        operand = self.names[j]
        kernel = functools.partial(node.op.kernel, self.xp, **node.params)
        if operand in self.globals:
            self.names[i] = self._recipe(f"v{i}", lambda names: kernel(names[operand]))
        else:
            name = self.names[i] = f"v{i}"
            self._line(i, f"{name} = {self._moving(node, operand, kernel)}")
        self._lies_in(i, j)
        if node.of(reshape):
            self.contiguous.add(self.names[i])

    def _moving(self, node: Node, operand: str, kernel: Callable[..., Any]) -> str:
        """The cheapest expression for a view of an array that moves."""
        if node.of(item):
            return f"{operand}[{node.params['index']}]"
        if node.of(permute_dims):
            return f"{operand}.transpose({tuple(node.params['axes'])})"
        if node.of(reshape):
            return f"{operand}.reshape({tuple(node.params['shape'])})"
        return f"{self._fix(f'f_{node.op.name}', kernel)}({operand})"

    def _lies_in(self, i: int, j: int) -> None:
        """Node ``i`` may lie where node ``j`` does, in buffers that must live as long as it."""
        self.owners.setdefault(i, set()).update(self.owners.get(j, ()))
        for owner in self.owners[i]:
            self.buffers[owner].last = max(self.buffers[owner].last, self.last_use[i])

    def _compute(self, i: int, node: Node) -> None:
        try:
            operands, calls, result = self._record(node)
        except (NotTraced, Mismatch):
            self._call_kernel(i, node)
            return
        if result in operands:  # the kernel returns an operand as it is
            self._passed(i, node.inputs[operands.index(result)])
            return
        target = self._target(i, node, calls)
        refs = dict(zip(operands, [self.names[j] for j in node.inputs], strict=True))
        refs[result] = target
        for k, call in enumerate(calls):
            made = call.result if call.result.base is None else call.result.base
            if made not in refs:
                refs[made] = self._buffer(f"t{i}_{k}", made.spec, i, i)
            listed = [self._argument(a, refs, call.result) for a in call.arguments]
            if call.function in (np.maximum, np.minimum):  # NumPy 2.4 deprecates their third positional argument
                listed[call.arguments.index(OUT)] = f"out={listed[call.arguments.index(OUT)]}"
            self._line(i, f"{self._fix(call.name, call.function)}({', '.join(listed)})")
        self.names[i] = target

    def _passed(self, i: int, j: int) -> None:
        """Node ``i`` is node ``j``. A local gets a name of its own, as each name is given up at its last use."""
        name = self.names[j]
        if name in self.globals:
            self.names[i] = name
        else:
            self.names[i] = f"y{i}"
            self._line(i, f"y{i} = {name}")
            if name in self.contiguous:
                self.contiguous.add(f"y{i}")
        self._lies_in(i, j)

    def _record(self, node: Node) -> tuple[list[Value], list[Call], Value]:
        """The operands of the kernel, the calls that it makes, and the value it returns; or NotTraced."""
        op = node.op
        if (
            not isinstance(op, Declared)
            or not op.recorded
            or op.random
            or not op.pure
            or not isinstance(node.spec, Spec)
        ):
            raise NotRecorded(node.op.name)
        recorder = Recorder(self.xp)
        operands = [Value(recorder, self.plan.spec(j), is_zero=self._is_zero(j)) for j in node.inputs]
        if node.of(reshape):  # of what is not contiguous, or it would be a view: a copy in the old shape
            result = Value(recorder, node.spec)
            return operands, [Call("copy_reshaped", _copy_reshaped, (OUT, *operands), result)], result
        specs = [self.plan.spec(j) for j in node.inputs]
        result = play(op, calls_of(op, specs, node.params, node.key), recorder, operands)
        if not isinstance(result, Value) or result.spec != node.spec:
            raise NotRecorded("returns something else than declared")
        return operands, recorder.calls, result

    def _is_zero(self, j: int) -> bool:
        node = self.plan.graph.nodes[j]
        return node.of(_literal) and not any(node.params["value"].tobytes())

    def _target(self, i: int, node: Node, calls: list[Call]) -> str:
        """The array that node ``i`` is written into: a variable's spare, a dying operand, or a new buffer."""
        if i in self.spares:
            key = self.written[i] = self.spares[i]
            name = self._recipe(f"n{i}", lambda names: names["_spare"][key])
            self.contiguous.add(name)
            return name
        # One element: NumPy takes its fast way only if result and operand are different arrays.
        if isinstance(node.op, Elementwise) and len(calls) == 1 and self.plan.spec(i).size > 1:
            for j in node.inputs:
                buffer = self.buffers.get(self.names[j])
                if buffer is not None and buffer.last == i and buffer.spec == node.spec:
                    self._lies_in(i, j)
                    return self.names[j]
        assert isinstance(node.spec, Spec)
        name = self._buffer(f"b{i}", node.spec, i, self.last_use[i])
        self.owners[i] = {name}
        return name

    def _argument(self, argument: Any, refs: dict[Any, str], result: Value) -> str:
        if argument is OUT:
            return self._argument(result, refs, result)
        if isinstance(argument, Value):
            return refs[argument] if argument.base is None else self._recast(refs[argument.base], argument.dtype)
        if isinstance(argument, (np.ndarray, np.dtype)):
            return self._constant(argument)
        return repr(argument)

    def _recast(self, name: str, dtype: np.dtype[Any]) -> str:
        """The array of that name looked at in another dtype of the same size."""
        if name not in self.globals:
            return f"{name}.view({self._fix(dtype.name, dtype)})"
        recast = f"{name}_{dtype.name}"
        return recast if recast in self.globals else self._recipe(recast, lambda names: names[name].view(dtype))

    def _constant(self, value: Any) -> str:
        if isinstance(value, np.dtype):
            return self._fix(value.name, value)
        return self._fix(f"k{len(self.fixed)}", value, (value.dtype, value.shape, value.tobytes()))

    def _call_kernel(self, i: int, node: Node) -> None:
        """Call the kernel as it is; what it returns moves from run to run."""
        op, name = node.op, f"y{i}"
        kernel: Callable[..., Any]
        operands = [self.names[j] for j in node.inputs]
        if isinstance(op, Declared) and op.random:
            kernel = functools.partial(op.kernel, **node.params)
            operands.insert(0, f"draw({node.params['draw']})")
        elif isinstance(op, Region):
            plan, backend = self.plan, NumpyBackend()
            operands.insert(0, "draw")

            def kernel(draw: Any, *arrays: Any) -> Any:
                return region_kernel(plan, i, backend, draw)(*arrays)

        else:
            kernel = functools.partial(op.kernel, self.xp, **node.params)
        if isinstance(op, Declared) and not op.own:
            kernel = functools.partial(_checked, self.plan, i, kernel)
        call = f"{self._fix(f'f_{op.name}', kernel)}({', '.join(operands)})"
        if isinstance(node.spec, Spec):
            call = f"asarray({call})"
        self._line(i, f"{name} = {call}")
        self.names[i] = name
        for j in node.inputs:  # what it returns may be a view of an operand
            self._lies_in(i, j)

    def _finish(self) -> None:
        """Write what is assigned but lies elsewhere into the spare arrays, and return copies of the values."""
        last = len(self.plan.graph.nodes) - 1
        for name, i in self.plan.updates.items():
            if self.written.get(i) == name:
                continue
            spare = self._recipe(f"s{len(self.recipes)}", functools.partial(_spare, name=name))
            self._line(last, f"copyto({spare}, {self.names[i]})")
        values = ", ".join(f"{self.names[i]}.copy()" for i in self.plan.values)
        self._line(last, f"return ({values}{',' if values else ''})")

    def _source(self) -> str:
        arguments = ", ".join(self.names[i] for i in self.inputs)
        lines = [f"def step({arguments}):"]
        for text, i in zip(self.lines, self.nodes, strict=True):
            place = self.plan.origin(i).place if i >= 0 else "nothing to compute"
            lines.append(f"    {text:<60}  # {place}")
        return "\n".join(lines) + "\n"

    def bind(self, live: Names, spare: Names, draw: Drawing, arena: Any) -> Callable[..., Any]:
        """The function, over the arrays of the environment and ``arena``, a block of ``nbytes`` bytes."""
        names: Names = {**self.fixed, "_live": live, "_spare": spare, "_arena": arena}
        names.update(draw=draw, copyto=np.copyto, asarray=np.asarray)
        for name, make in self.recipes:
            names[name] = make(names)
        exec(self.code, names)
        for name in ("_live", "_spare", "_arena"):
            del names[name]
        return cast(Callable[..., Any], names["step"])

    def node_at(self, line: int) -> int | None:
        """The node that a line of the source computes."""
        place = line - 2
        return self.nodes[place] if 0 <= place < len(self.nodes) else None


def _view(arena: Any, buffer: Buffer) -> Any:
    spec = buffer.spec
    block = arena[buffer.offset : buffer.offset + spec.nbytes]
    return block.view(spec.dtype).reshape(spec.shape)


def _spare(names: Names, name: str) -> Any:
    return names["_spare"][name]


def _copy_reshaped(out: Any, x: Any) -> None:
    np.copyto(out.reshape(x.shape), x)


def _checked(plan: Plan, i: int, kernel: Callable[..., Any], *operands: Any, **params: Any) -> Any:
    """What a kernel returns, if it is what its op declares."""
    result = kernel(*operands, **params)
    if not isinstance(plan.graph.nodes[i].spec, Spec):
        plan.check(i, result)
        return result
    result = result if isinstance(result, np.ndarray) else np.asarray(result)
    plan.check(i, [result])
    return result
