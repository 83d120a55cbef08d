"""The kinds of op but the sixth, the region: what each supplies, and how an operand becomes a tensor.

Everything true of an op hangs on the op; everything true of a kind of op hangs on the kind. The
decorators that make ops are in :mod:`lazygrad.define`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import numpy as np

from lazygrad.define.carried import carried
from lazygrad.errors import DefinitionError, SpecError, report
from lazygrad.graph.casting import working
from lazygrad.graph.graph import Graph, Op, Specs, current_graph, writing
from lazygrad.graph.guarded import dtypes_of, guarded, shapes_of
from lazygrad.graph.registry import functions, here
from lazygrad.graph.spec import (
    DtypeRule,
    Kind,
    Mismatch,
    Spec,
    broadcast,
    chosen,
    floating,
    normalize_axes,
    promoted,
    reduced_shape,
    sized,
    ufunc_rule,
)
from lazygrad.graph.tensor import Tensor
from lazygrad.values.foreign import dtype_of, on_device
from lazygrad.values.missing import is_masked

__all__ = [
    "Declared",
    "Elementwise",
    "Movement",
    "Opaque",
    "Reduction",
    "Source",
    "flat",
    "graph_of",
    "has_default",
    "item",
    "kind_of",
    "tensor",
    "tensors",
]

Rule = Callable[..., Any]


class _Flat:
    """The derivative of a function that is constant wherever it is continuous."""

    def __repr__(self) -> str:
        return "flat"


flat = _Flat()
View = Literal["always", "contiguous"] | None
Rules = Any  # Rule | _Flat | None, or a tuple of them, one an operand


_NOTHING = [inspect.Parameter("nothing", inspect.Parameter.POSITIONAL_ONLY)]


class Declared(Op):
    """An op made from a kernel. The subclasses are the kinds."""

    recorded = True  # whether the kernel may be run with a recorder for ``xp``
    linear = False  # in all operands together; then it is its own forward derivative
    adds = False  # whether it adds up, or takes steps that round: then halves are computed with in float32
    squared: Rule | None = None  # the square of the result, smooth where this has corners
    contracts = True  # whether native code may round a product and a sum once
    stored = False  # whether its result lies in memory even where it could be computed again
    memory: Callable[..., Any] | None = None  # of its settings: the array that its kernel gives in every run, if so
    squares = False  # whether the result may be the square of an operand
    fills: Rule | None = None  # of lazygrad's own movements that are no views: the part of the result of each operand

    def __init__(self, kernel: Callable[..., Any], vjp: Rules, jvp: Rules, dtype: DtypeRule | None) -> None:
        functools.update_wrapper(cast(Any, self), kernel)
        self.own = kernel.__module__.startswith("lazygrad.")  # what lazygrad declares itself is believed
        self.raw = kernel
        self.seen: dict[Any, bool] = {}  # of the user's: for settings and operands whether it does as declared
        self.kernel = kernel if self.own else guarded(self, kernel)
        self.name = kernel.__name__.strip("_")
        if not inspect.getdoc(kernel):
            raise DefinitionError(f"op {self.name!r} has no docstring: say in one line what it computes")
        first, *rest = inspect.signature(kernel).parameters.values() or _NOTHING
        if first.name not in ("xp", "rng"):
            raise DefinitionError(f"op {self.name!r}: the first parameter is 'xp' (or 'rng'), not {first.name!r}")
        self.random = first.name == "rng"
        self.__signature__ = inspect.Signature(rest, return_annotation="Tensor")
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in rest)
        self.operands = [p.name for p in rest if _is_operand(p)]
        self.defaults = {p.name: p.default for p in rest if not _is_operand(p)}
        if not self.operands and not isinstance(self, Source):
            raise DefinitionError(f"op {self.name!r} has no operands: what has none is declared with source()")
        if self.random and "draw" not in self.defaults:
            raise DefinitionError(f"op {self.name!r} draws with 'rng', and must take a setting draw, the draw's number")
        self.required = {name for name, default in self.defaults.items() if default is inspect.Parameter.empty}
        self.dtype_rule = dtype or self._default_dtype_rule()
        self._resolved: dict[tuple[Kind, ...], tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]] = {}
        self.vjp = self._checked("vjp", vjp)
        self.jvp = self._checked("jvp", jvp)
        if self.own:
            functions.setdefault(kernel.__name__, self)

    def __reduce__(self) -> Any:
        return str(vars(self)["__qualname__"]) if self.own else carried(self)

    def _default_dtype_rule(self) -> DtypeRule:
        return promoted

    def _checked(self, what: str, rules: Rules) -> Rules:
        """The rules, one an operand, each called with just the settings it names."""
        if rules is None or isinstance(rules, _Flat):
            return rules
        if self.variadic:
            return _with_settings(self, what, rules, None)
        listed = rules if isinstance(rules, tuple) else (rules,)
        if len(listed) != len(self.operands):
            raise DefinitionError(
                f"op {self.name!r} has {len(self.operands)} operands ({', '.join(self.operands)}), "
                f"but {len(listed)} {what} rules; an operand is a positional parameter annotated Array, or not at all"
            )
        return tuple(
            r if r is None or isinstance(r, _Flat) else _with_settings(self, what, r, len(listed)) for r in listed
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Append a node, and return it as a tensor."""
        operands, params = self.bind(args, kwargs)
        graph = graph_of(self.name, operands)
        if not graph.open:
            graph.check_open(self.name)
        inputs = self.cast(graph, operands)
        try:
            params = self.normalized(inputs, params)
            if self.adds and any(t.spec.dtype.char == "e" for t in inputs):
                return self._in_floats(graph, inputs, params)
        except Mismatch as reason:
            message = graph._mismatch(self, tuple(t.index for t in inputs), params, str(reason))
            raise SpecError(message) from None
        return self.outputs(graph.apply(self, tuple([t.index for t in inputs]), params))

    def _in_floats(self, graph: Graph, inputs: Sequence[Tensor], params: dict[str, Any]) -> Any:
        """The op of halves, computed in float32 and rounded once; its derivative is computed so too."""
        wanted = self.infer([t.spec for t in inputs], params)
        wide = [tensor(t, graph, working(t.dtype)) if t.dtype.kind == "f" else t for t in inputs]
        found = self.outputs(graph.apply(self, tuple([t.index for t in wide]), params))
        if isinstance(wanted, Spec):
            return tensor(found, graph, wanted.dtype)
        return tuple(tensor(y, graph, spec.dtype) for y, spec in zip(found, wanted, strict=True))

    def outputs(self, result: Tensor) -> Any:
        """What the caller gets: the tensor, or a tuple of them where there are several results."""
        if self.squares:
            return functions["_smooth"](result)
        if isinstance(result.spec, Spec):
            return result
        return tuple(item(result, index=k) for k in range(len(result.spec)))

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Operands, and settings in the order of the declaration, defaults filled in."""
        if self.variadic:
            operands = args
        elif len(args) == len(self.operands) and not kwargs.keys() & set(self.operands):
            operands = args
            if not kwargs and not self.required:
                return operands, dict(self.defaults)
        else:
            bound = self._bound(args, kwargs)
            operands = tuple([bound.arguments[name] for name in self.operands])
            kwargs = {k: v for k, v in bound.arguments.items() if k in self.defaults}
        params = {**self.defaults, **kwargs}
        if len(params) > len(self.defaults) or not self.required <= kwargs.keys():
            self._bound(args, kwargs)  # says in Python's words which one is wrong
        return operands, params

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        try:
            return self.__signature__.bind(*args, **kwargs)
        except TypeError as reason:
            bare = [p.replace(annotation=p.empty) for p in self.__signature__.parameters.values()]
            raise TypeError(f"{self.name}{inspect.Signature(bare)}: {reason}") from None

    def cast(self, graph: Graph, operands: Sequence[Any]) -> list[Tensor]:
        """The operands as tensors of ``graph``, in the dtypes of the op's dtype rule."""
        try:
            wanted, _ = self.resolve(self.kinds(graph, operands))
            self.check_shapes(operands)
        except Mismatch as reason:
            inputs = tuple(tensor(operand, graph).index for operand in operands)
            raise SpecError(graph._mismatch(self, inputs, {}, str(reason))) from None
        roomy = [self._room(x, dtype) for x, dtype in zip(operands, wanted, strict=True)]
        return [tensor(x, graph, dtype) for x, dtype in roomy]

    def kinds(self, graph: Graph, operands: Sequence[Any]) -> tuple[Kind, ...]:
        """The kinds of the operands; where Python's numbers stand alone, floats have the environment's dtype.

        So has what a function of whole numbers gives, if it gives floats.
        """
        kinds = tuple([kind_of(operand, graph.dtype) for operand in operands])
        together = kinds[1:] if self.dtype_rule is chosen else kinds
        if not together or not all(isinstance(kind, type) for kind in together):
            return kinds
        if float not in together and self.resolve(kinds)[1].kind != "f":
            return kinds
        return kinds[: len(kinds) - len(together)] + (graph.dtype,) * len(together)

    def check_shapes(self, operands: Sequence[Any]) -> None:
        """Raise Mismatch for what would only be found after a cast, when messages no longer know the operand."""

    def _room(self, operand: Any, dtype: np.dtype[Any]) -> tuple[Any, np.dtype[Any]]:
        """An operand and its dtype; NumPy compares also with a Python int beyond the other's range.

        One that no dtype holds compares with all whole numbers as an infinity does.
        """
        if type(operand) is int and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if not limits.min <= operand <= limits.max and self.resolve((dtype, dtype))[1] == np.bool_:
                room = np.min_scalar_type(operand)
                if room.kind not in "iu":
                    return math.inf if operand > 0 else -math.inf, np.dtype(np.float64)
                return operand, room
        return operand, dtype

    def resolve(self, kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
        """The dtype rule, remembered."""
        found = self._resolved.get(kinds)
        if found is None:
            found = self.dtype_rule(kinds) if self.own else dtypes_of(self, kinds, self.dtype_rule)
            self._resolved[kinds] = found
        return found

    def ruled(self, rule: Rule, specs: Sequence[Spec], params: dict[str, Any]) -> Any:
        """The shape or shapes of the results by the op's shape rule."""
        shapes = [spec.shape for spec in specs]
        return rule(*shapes, **params) if self.own else shapes_of(self, rule, shapes, params)

    def normalized(self, inputs: Sequence[Tensor], params: dict[str, Any]) -> dict[str, Any]:
        """The settings in their one canonical form."""
        return params

    def labels(self, count: int) -> list[str]:
        """What messages call the operands."""
        if self.variadic:
            return [f"{self.operands[0]}[{i}]" for i in range(count)]
        return list(self.operands)


def _is_operand(p: inspect.Parameter) -> bool:
    plain = p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    return (plain or p.kind is p.VAR_POSITIONAL) and p.annotation in (p.empty, Any, "Any", "Array", "typing.Any")


def _with_settings(op: Declared, what: str, rule: Rule, operands: int | None) -> Rule:
    """The rule, called with only the settings that its signature names; checked against the op's."""
    parameters = inspect.signature(rule).parameters.values()
    names = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    every = any(p.kind is p.VAR_KEYWORD for p in parameters)
    positional = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    if names - set(op.defaults):
        raise DefinitionError(f"op {op.name!r}: its {what} names settings that it has not: {names - set(op.defaults)}")
    if operands is not None and positional != 2 + operands:
        listed = ", ".join(["g", "y", *op.operands])
        raise DefinitionError(f"op {op.name!r}: its {what} takes ({listed}), not {positional} operands")
    if every or not op.defaults:
        return rule

    def called(*tensors: Tensor, **params: Any) -> Any:
        return rule(*tensors, **{name: params[name] for name in names})

    return called


def kind_of(operand: Any, default: np.dtype[Any] | None = None) -> Kind:
    """The dtype of an operand, or the Python type of a number, which is weak in promotion.

    A list of Python's floats has no dtype of its own: it has ``default``, the environment's.
    """
    if isinstance(operand, Tensor):
        return operand.spec.dtype
    kind = type(operand)
    if kind is float or kind is int:
        return kind
    spec = getattr(operand, "spec", None)
    if isinstance(spec, Spec):  # a variable
        return spec.dtype
    if is_masked(operand):
        raise Mismatch("It is a masked array.")
    try:
        dtype = dtype_of(operand) if on_device(operand) else np.asarray(operand).dtype
    except ValueError:  # ragged lists
        dtype = np.dtype(object)
    if dtype.kind not in "biuf":
        raise Mismatch("It is not an array of real numbers or booleans.")
    return default if default is not None and has_default(operand, dtype) else dtype


def has_default(x: Any, dtype: np.dtype[Any]) -> bool:
    """Whether ``x``, which NumPy takes for an array of ``dtype``, is Python's floats: they have no dtype."""
    return dtype == np.float64 and not hasattr(x, "dtype") and _bare(x)


def _bare(x: Any) -> bool:
    """Whether ``x`` is a number of Python's, or lists of such."""
    if isinstance(x, (list, tuple)):
        return all(_bare(part) for part in x)
    return isinstance(x, (bool, int, float)) and not isinstance(x, np.generic)


def graph_of(what: str, operands: Sequence[Any]) -> Graph:
    """The graph of the first tensor among ``operands``, else the one being written."""
    for operand in operands:
        if isinstance(operand, Tensor):
            graph = operand.graph if operand.graph.open else _known(operand.graph)
            return graph if graph.inner is None else graph.innermost()
    return current_graph(what)


def _known(graph: Graph) -> Graph:
    """The graph being written, if it knows the nodes of ``graph``, which has ended; else ``graph`` itself.

    It does where a body is differentiated that holds a rule of the user's, which may use any tensor of that body.
    """
    return writing.graphs[-1] if any(id(graph) in other.same for other in writing.graphs) else graph


def tensor(x: Any, graph: Graph | None = None, dtype: np.dtype[Any] | None = None) -> Tensor:
    """``x`` as a tensor of ``graph``, cast to ``dtype``.

    A number becomes a literal in the graph; anything that NumPy takes for an array becomes a constant
    beside it.
    """
    if graph is not None and not graph.open:
        graph = _known(graph)
    if isinstance(x, Tensor):
        if graph is None and not x.graph.open:
            graph = _known(x.graph)
        if graph is not None and x.graph is not graph:
            x = graph.innermost().lifted(x)
        return x if dtype is None or x.spec.dtype == dtype else functions["astype"](x, dtype)
    graph = graph or current_graph("make a tensor")
    if isinstance(x, (bool, int, float, np.generic)):
        return functions["literal"](graph, x, dtype)
    made = functions["constant"](graph, x, dtype)
    return made if made.graph is graph else graph.innermost().lifted(made)


def tensors(*xs: Any) -> list[Tensor]:
    """Operands as tensors of the graph of the first that is one, else of the one being written.

    Python's floats take the dtype that they would be promoted to beside the others; where there is no other, they
    have the environment's. A list of them has the environment's, or a wider one of the others.
    """
    if all(isinstance(x, Tensor) for x in xs):
        return [tensor(x, xs[0].graph) for x in xs]
    graph = graph_of("make a tensor", xs)
    return [tensor(x, graph, dtype) for x, dtype in zip(xs, _beside(graph, xs), strict=True)]


def _beside(graph: Graph, xs: Sequence[Any]) -> list[np.dtype[Any] | None]:
    """For each of several operands the dtype that the others give it; None where it has its own."""
    listed = [not isinstance(x, Tensor) and isinstance(x, (list, tuple)) and _is_listed(x) for x in xs]
    typed = [x.dtype for x in xs if isinstance(getattr(x, "dtype", None), np.dtype) and x.dtype.kind in "biuf"]
    floats = [dtype for dtype in typed if dtype.kind == "f"]
    weak = np.result_type(*typed, 0.0) if typed else graph.dtype
    wide = np.result_type(graph.dtype, *floats)
    return [wide if many else weak if type(x) is float else None for x, many in zip(xs, listed, strict=True)]


def _is_listed(x: Any) -> bool:
    if is_masked(x):
        return False
    try:
        return has_default(x, np.asarray(x).dtype)
    except ValueError:  # ragged lists
        return False


class Elementwise(Declared):
    """Broadcasts and promotes; gradients need not mention broadcasting; can be fused."""

    def __init__(self, kernel: Callable[..., Any], vjp: Rules, jvp: Rules, dtype: DtypeRule | None) -> None:
        super().__init__(kernel, vjp, jvp, dtype)
        self.adds = self.dtype_rule is floating  # no single function of NumPy's: several steps, or a library's

    def _default_dtype_rule(self) -> DtypeRule:
        ufunc = getattr(np, self.name, None)
        return ufunc_rule(ufunc) if isinstance(ufunc, np.ufunc) and ufunc.nout == 1 else promoted

    def check_shapes(self, operands: Sequence[Any]) -> None:
        """They must broadcast."""
        if len(operands) > 1:
            broadcast([x.spec.shape if isinstance(x, Tensor) else np.shape(x) for x in operands])

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """Broadcast shape, and the dtype rule's dtype, unless there is a setting ``dtype``."""
        _, dtype = self.resolve(tuple([spec.dtype for spec in specs]))
        return Spec(broadcast([spec.shape for spec in specs]), params.get("dtype", dtype))

    def labels(self, count: int) -> list[str]:
        """Left and right, where there are two."""
        return ["left", "right"] if count == 2 else super().labels(count)


class Reduction(Declared):
    """Drops axes, or keeps them with size 1. ``identity`` is its value over no elements."""

    adds = True

    def __init__(
        self,
        kernel: Callable[..., Any],
        vjp: Rules,
        jvp: Rules,
        result: Callable[[np.dtype[Any]], Any] | None,
        identity: Any,
        combine: Callable[..., Any] | None,
        linear: bool,
    ) -> None:
        super().__init__(kernel, vjp, jvp, None)
        if not {"axis", "keepdims"} <= set(self.defaults):
            raise DefinitionError(f"reduction {self.name!r} must take axis= and keepdims=")
        self.result = result or (lambda dtype: dtype)
        self.identity = identity
        self.combine = combine
        self.linear = linear

    def normalized(self, inputs: Sequence[Tensor], params: dict[str, Any]) -> dict[str, Any]:
        """``axis`` as a tuple counted from the front."""
        return {**params, "axis": normalize_axes(params["axis"], inputs[0].ndim), "keepdims": bool(params["keepdims"])}

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """The shape without the reduced axes."""
        (spec,) = specs
        shape = reduced_shape(spec.shape, params["axis"], params["keepdims"])
        if self.identity is None and any(spec.shape[a] == 0 for a in params["axis"]):
            raise Mismatch(f"There is no {self.name} of no elements.")
        if self.own:
            return Spec(shape, np.dtype(self.result(spec.dtype)))
        _, dtype = dtypes_of(self, (spec.dtype,), lambda kinds: (kinds, self.result(*kinds)))
        return Spec(shape, dtype)


class Movement(Declared):
    """Moves or repeats elements and computes nothing, so it is linear."""

    linear = True

    def __init__(self, kernel: Callable[..., Any], vjp: Rules, shape: Callable[..., Any], view: View) -> None:
        super().__init__(kernel, vjp, None, None)
        if view not in ("always", "contiguous", None, True, False):
            raise DefinitionError(f"movement {self.name!r}: view= is 'always', 'contiguous' or None, not {view!r}")
        self.shape_rule = shape
        self.view: View = None if isinstance(view, bool) else view  # True says too little: it may copy

    def looks(self, key: Any, specs: tuple[Any, ...], spec: Any) -> bool:
        """Whether the kernel returns a view of its operand; that of a user's is believed where it was seen to."""
        return self.view is not None and (self.own or self.seen.get((key, specs, spec), False))

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """The shape rule's shape, the operands' dtype."""
        _, dtype = self.resolve(tuple([spec.dtype for spec in specs]))
        return Spec(self.ruled(self.shape_rule, specs, params), dtype)


class Opaque(Declared):
    """A library call that nothing looks into. Its shape rule may return a list: several results."""

    def __init__(
        self,
        kernel: Callable[..., Any],
        vjp: Rules,
        jvp: Rules,
        shape: Callable[..., Any],
        dtype: DtypeRule | None,
        linear: bool,
        pure: bool,
        recorded: bool,
        adds: bool,
    ) -> None:
        super().__init__(kernel, vjp, jvp, dtype)
        self.adds = adds
        self.shape_rule = shape
        self.linear = linear
        self.pure = pure
        self.recorded = recorded

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """The shape rule's shape or shapes, the dtype rule's dtype."""
        _, dtype = self.resolve(tuple([spec.dtype for spec in specs]))
        shape = self.ruled(self.shape_rule, specs, params)
        return tuple(Spec(s, dtype) for s in shape) if isinstance(shape, list) else Spec(shape, dtype)


class Source(Declared):
    """Has no operands. A given source has no kernel: its array is given to the plan."""

    def __init__(self, kernel: Callable[..., Any], given: bool) -> None:
        super().__init__(kernel, None, None, None)
        self.given = self.outside = given

    def write(self, graph: Graph, **params: Any) -> Tensor:
        """The source as a tensor of ``graph``; all settings are given, in the order of the declaration."""
        if self.given:  # its settings come from a spec, and are hashable as they are
            return graph.apply(self, (), params, tuple(params.values()))
        try:
            params["shape"] = sized(params["shape"])
        except Mismatch as reason:
            raise SpecError(report(f"cannot make {self.name}", at=here(), cure=str(reason))) from None
        return graph.apply(self, (), params)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Append a node to the graph being written, and return it as a tensor."""
        _, params = self.bind(args, kwargs)
        return self.write(current_graph(self.name), **params)

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """Shape and dtype are settings."""
        return Spec(params["shape"], np.dtype(params["dtype"]))


class _Item(Op):
    """One result of an op that has several."""

    name = "item"
    random = False
    outside = True
    view = "always"

    def kernel(self, xp: Any, ys: Sequence[Any], *, index: int) -> Any:
        """The result itself."""
        return ys[index]

    def infer(self, specs: Sequence[Any], params: dict[str, Any]) -> Specs:
        """The spec of that result."""
        return cast(Spec, specs[0][params["index"]])

    def labels(self, count: int) -> list[str]:
        """It has one operand."""
        return ["of"]

    def __call__(self, results: Tensor, *, index: int) -> Tensor:
        return results.graph.apply(self, (results.index,), {"index": index})


item = _Item()
