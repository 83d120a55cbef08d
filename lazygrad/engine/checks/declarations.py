"""What an op of the user's declares, seen by running its kernel.

The passes, the program of NumPy calls and native code build on declarations: that a view is one, that an element
of the result depends on the elements at its place alone, that the parts of a sum add up to it, that a kernel gives
the same numbers whenever it is called. Before a plan runs for the first time, the kernel of every op that is not
lazygrad's own is run on a few small arrays, or on reserved memory that nobody reads; a kernel that is seen to do
something else is a DefinitionError. A kernel that raises is not judged: the run shows that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lazygrad.define.kinds import Declared, Elementwise, Movement, Opaque, Reduction, Source
from lazygrad.engine.agreement import disagreement
from lazygrad.engine.checks.trials import SMALL, Returned, called, fits, marks, same, samples
from lazygrad.engine.lower.index import Misdeclared, contiguous, flattened, probed, viewed
from lazygrad.engine.trace.calls import calls_of, play
from lazygrad.engine.trace.recorder import OUT, Recorder, Value
from lazygrad.engine.trace.tracing import NotTraced
from lazygrad.errors import DefinitionError
from lazygrad.graph.graph import Node
from lazygrad.graph.guarded import misdeclared
from lazygrad.graph.spec import Mismatch, Spec
from lazygrad.plan import Plan

__all__ = ["check", "seen"]

LENGTH = 8  # elements of the arrays that an elementwise kernel is run on
MARKED = 12  # runs of a movement on random numbers, by which its elements are known
REMEMBERED = 256  # an op's checks, the first forgotten first

Kernel = Callable[..., Any]


def check(plan: Plan) -> None:
    """Run the kernels of the user's ops in a plan, each once for its settings and operands.

    Raises:
        DefinitionError: one does something else than its op declares; names the op, where it was declared, where it
            was used, and what was seen.
    """
    for i, node in enumerate(plan.graph.nodes):
        op = node.op
        if not isinstance(op, Declared) or op.own or op.random or not op.pure:
            continue
        specs = tuple([spec for j in node.inputs if isinstance(spec := plan.graph.nodes[j].spec, Spec)])
        if len(specs) < len(node.inputs):
            continue
        key: Any = (node.key, tuple([(s.ndim, s.dtype) for s in specs]), None)
        if isinstance(op, (Movement, Opaque)):
            key = (node.key, specs, node.spec)
        if key in op.seen:
            continue
        try:
            with np.errstate(all="ignore"):
                judged = seen(op, node, specs)
        except Returned as reason:
            raise plan.misdeclared(i, str(reason)) from None
        except Misdeclared as reason:
            what, found, cure = reason.args
            raise misdeclared(op, what, found, cure, at=plan.origin(i)) from None
        except DefinitionError as reason:
            told = getattr(reason, "told", None)
            raise (misdeclared(*told, at=plan.origin(i)) if told is not None else reason) from None
        op.seen[key] = judged
        if len(op.seen) > REMEMBERED:
            op.seen.pop(next(iter(op.seen)), None)


def seen(op: Declared, node: Node, specs: Sequence[Spec]) -> bool:
    """Run the kernel of an op on small arrays; whether it was seen to do as declared, as it may raise.

    Raises:
        Misdeclared: it does something else than its op declares: what, what was seen, and what to do.
    """
    if isinstance(op, Movement):
        looks = op.view is not None and _view(op, node, specs[0])
        _moved(op, node, specs)
        return op.view is None or looks
    if isinstance(op, Elementwise):
        _elementwise(op, node, specs)
    elif isinstance(op, Reduction):
        _reduction(op, node, specs[0])
    elif isinstance(op, Source):
        if not op.given:
            same(op, [], {**node.params, "shape": tuple([min(n, 4) for n in node.params["shape"]])})
    else:
        _opaque(op, node, specs)
    return True


# Readings.


def _played(op: Declared, arrays: Sequence[Any], node: Node, spec: Spec) -> Any:
    """What the calls of NumPy compute that the program of a step makes of the kernel; None if there is none."""
    recorder = Recorder(np)
    operands = [Value(recorder, Spec(x.shape, x.dtype)) for x in arrays]
    try:
        result = play(op, calls_of(op, [x.spec for x in operands], node.params, node.key), recorder, operands)
    except NotTraced:  # it is called as it is
        return None
    if not isinstance(result, Value) or result.spec != spec:
        return None
    lies: dict[Value, Any] = dict(zip(operands, arrays, strict=True))

    def array(x: Any) -> Any:
        if not isinstance(x, Value):
            return x
        base = x if x.base is None else x.base
        if base not in lies:
            lies[base] = np.empty(*base.spec)
        return lies[base] if x.base is None else lies[base].view(x.dtype)

    for call in recorder.calls:
        given = [call.result if a is OUT else a for a in call.arguments]
        if isinstance(call.function, np.ufunc):
            call.function(*[array(a) for a in given[:-1]], out=array(given[-1]))
        else:
            call.function(*[array(a) for a in given])
    return array(result)


def _reads_the_same(op: Declared, arrays: Sequence[Any], node: Node, result: Any) -> None:
    """Raise Misdeclared if the kernel computes something else of arrays than of what stands for them."""
    try:
        played = _played(op, arrays, node, Spec(np.shape(result), np.asarray(result).dtype))
    except (NotTraced, Mismatch):
        return
    if played is None:
        return
    difference = disagreement(played, np.asarray(result))
    if difference is not None:
        what = "has a kernel that does something else with what is no array"
        cure = "A kernel calls functions of xp and does not ask what its operands are; else declare it opaque."
        raise Misdeclared(what, f"with a recorder for xp it computes {difference}", cure)


# The kinds.


def _elementwise(op: Elementwise, node: Node, specs: Sequence[Spec]) -> None:
    short = [Spec((LENGTH,), spec.dtype) for spec in specs]
    wanted = op.infer(short, node.params)
    for seed in range(2):
        arrays = samples(short, seed)
        result = same(op, arrays, node.params)
        if result is None or not fits(op, node, specs, wanted, result):  # type: ignore[arg-type]
            continue
        _alone(op, arrays, node.params, result)
        _reads_the_same(op, arrays, node, result)


def _alone(op: Elementwise, arrays: Sequence[Any], params: dict[str, Any], whole: Any) -> None:
    """Raise Misdeclared unless every element is computed of those at its place, whatever stands beside them."""
    for what, chosen in _choices():
        part = called(op, [chosen(x) for x in arrays], params)
        if part is None:
            continue
        part, expected = np.asarray(part), chosen(whole)
        difference = disagreement(part, expected)
        if difference is not None:
            cure = "Declare it opaque, with shape=, if elements depend on others, on their places or on the shape."
            said = "is declared elementwise, but elements of its result depend on more than those at their place"
            raise Misdeclared(said, f"of {what} it computes {difference}", cure)


def _choices() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Ways to choose and to arrange elements."""
    yield "the elements in reverse order", lambda x: x[::-1]
    yield "the first three of them alone", lambda x: x[:3]
    yield "one of them alone", lambda x: x[5:6]
    yield "the elements in two rows", lambda x: x.reshape(2, -1)
    yield "every second element", lambda x: x[::2]


def _reduction(op: Reduction, node: Node, spec: Spec) -> None:
    params, axes = node.params, node.params["axis"]
    short = Spec(tuple([2 + axis % 3 for axis in range(spec.ndim)]), spec.dtype)
    wanted = op.infer([short], params)
    for seed in range(2):
        (x,) = samples([short], seed)
        result = same(op, [x], params)
        if result is None or not fits(op, node, [spec], wanted, result):  # type: ignore[arg-type]
            continue
        _reads_the_same(op, [x], node, result)
        if axes:
            _combined(op, x, params, result)
            _empty(op, x, params)


def _combined(op: Reduction, x: Any, params: dict[str, Any], whole: Any) -> None:
    """Raise Misdeclared unless the results of two parts make the whole."""
    if not isinstance(op.combine, Declared):
        return
    axis = params["axis"][0]
    first, second = np.split(x, [1], axis)
    both = [called(op, [part], params) for part in (first, second)]
    if any(part is None for part in both):
        return
    difference = _joining(op.combine, both[0], both[1], whole)
    if difference is not None:
        what = f"declares combine={op.combine.name}, which does not make its result of those of two parts"
        cure = "combine= joins the results of two parts to that of both; leave it out if nothing does."
        raise Misdeclared(what, f"combined they are {difference}", cure)


def _joining(combine: Declared, a: Any, b: Any, expected: Any) -> str | None:
    """In what way the results of two parts, combined, are not as expected; None if they are, or cannot be combined."""
    expected = np.asarray(expected)
    try:
        a, b = (np.broadcast_to(np.asarray(part, expected.dtype), expected.shape) for part in (a, b))
        joined = np.asarray(combine.kernel(np, a, b)).astype(expected.dtype)
    except DefinitionError:
        raise
    except Exception:  # numbers that the dtype does not hold, or that it refuses
        return None
    return disagreement(joined, expected)


def _empty(op: Reduction, x: Any, params: dict[str, Any]) -> None:
    """Raise Misdeclared unless the identity is the result of no elements, and changes nothing."""
    if op.identity is None:
        return
    none = called(op, [x[(slice(None),) * params["axis"][0] + (slice(0, 0),)]], params)
    cure = "identity= is the result of no elements, which changes nothing when it is combined; None if there is none."
    what = f"declares identity={op.identity}"
    if none is not None and (np.asarray(none) != op.identity).any():
        wrong = np.asarray(none).ravel()[0]
        raise Misdeclared(f"{what}, but its kernel returned {wrong} of no elements", f"{wrong}", cure)
    if isinstance(op.combine, Declared):
        some = np.asarray(called(op, [x], params))
        difference = _joining(op.combine, op.identity, some, some)
        if difference is not None:
            seen = f"combined with {op.identity} it is {difference}"
            raise Misdeclared(f"{what}, which changes what it is combined with", seen, cure)


def _view(op: Movement, node: Node, spec: Spec) -> bool:
    """Whether the kernel looks at its operand's memory, at places that are steps apart; False if it raises.

    Raises:
        Misdeclared: it returns something else.
    """
    assert isinstance(node.spec, Spec)
    if not spec.size or not node.spec.size:
        return True
    what = f"declares view={op.view!r}, but its kernel does not return a view of its operand"
    cure = "Return the operand's own elements, as with x[1:]; leave view= out where the kernel copies or computes."
    try:
        if op.view == "contiguous":
            found = flattened(op, spec.shape, node.params, node.key, spec.dtype).shape
        else:
            found = _steps(op, node, spec)
        if found != node.spec.shape:
            raise Misdeclared(f"of {list(spec.shape)} it returned {list(found)} in place of {list(node.spec.shape)}")
    except Misdeclared as reason:
        raise Misdeclared(what, str(reason), cure) from None
    except DefinitionError:
        raise
    except Exception:  # it does not stand zeros, or there is no room for as many: it is called at every run
        return False
    return True


def _steps(op: Movement, node: Node, spec: Spec) -> Any:
    """The shape of a view of an operand, whose steps follow from the operand's."""
    assert isinstance(node.spec, Spec)
    affine = viewed(op, spec.shape, node.params, node.key, spec.dtype)
    found = node.spec.shape
    for axes in (range(spec.ndim), range(spec.ndim)[::-1]):
        strides = _strides(spec.shape, axes)
        start, steps, found = probed(op, spec.shape, strides, node.params, spec.dtype)
        rows = np.array([*affine.steps, *[[0] * len(steps)]])
        expected = np.dot([*strides, 0], rows)
        if start != sum(a * b for a, b in zip(strides, affine.starts, strict=True)) or (expected != steps).any():
            raise Misdeclared("in other strides it returned other elements of its operand")
    return found


def _strides(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Strides of bytes in which the last of ``axes`` varies fastest."""
    steps = dict(zip(axes, contiguous(tuple([shape[a] for a in axes])), strict=True))
    return tuple([steps[axis] for axis in range(len(shape))])


def _moved(op: Movement, node: Node, specs: Sequence[Spec]) -> None:
    """Raise Misdeclared unless the result is made of the operands' elements, and of zeros."""
    if sum(spec.size for spec in specs) > SMALL or not isinstance(node.spec, Spec) or node.spec.size > 16 * SMALL:
        return
    rng, runs = np.random.default_rng(0), list[tuple[Any, Any]]()
    for _ in range(MARKED):
        arrays = marks(specs, rng)
        result = called(op, arrays, node.params) if runs else same(op, arrays, node.params)
        if result is None or not fits(op, node, specs, node.spec, result):
            return
        runs.append((np.concatenate([np.zeros(1, node.spec.dtype), *[x.ravel() for x in arrays]]), result))
    known = {column.tobytes() for column in np.stack([given for given, _ in runs], axis=1)}
    for column in np.stack([np.ravel(result) for _, result in runs], axis=1):
        if column.tobytes() not in known:
            cure = "A movement moves or repeats elements, whatever they are, with zeros where there are none; what "
            cure += "computes is elementwise, what looks at numbers opaque."
            seen = f"it returned {column[0]}, then {column[1]} where no element was {column[0]}, then {column[1]}"
            raise Misdeclared("is declared a movement, but its kernel computes", seen, cure)


def _opaque(op: Declared, node: Node, specs: Sequence[Spec]) -> None:
    if sum(spec.size for spec in specs) > SMALL:
        return
    arrays = samples(specs)
    result = same(op, arrays, node.params)
    if result is not None and op.recorded:
        _reads_the_same(op, arrays, node, result)
