"""Arrays made by rule: of one number, of equal steps, grids, unit matrices."""

# All that enters a graph is here: variables, placeholders, constants, literals. And what leaves it: an assignment is
# a node too.

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import opaque, source
from lazygrad.define.kinds import has_default, tensor
from lazygrad.errors import GraphError, LazygradError, SpecError, report
from lazygrad.graph.casting import cast, saturates
from lazygrad.graph.graph import Graph, current_graph
from lazygrad.graph.registry import function, functions, here
from lazygrad.graph.spec import Mismatch, Shape, kept, sized
from lazygrad.graph.tensor import Array, Tensor, TensorLike, checked_dtype
from lazygrad.ops.movement import broadcast_to, check_device, reshape
from lazygrad.store.variables import Transposed, Variable
from lazygrad.values.foreign import dtype_of, lent, on_device
from lazygrad.values.missing import FILL, is_masked, numbers, odd, refused_columns

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


@source(given=True)
def variable(xp: Any, *, name: str, shape: Shape, dtype: Any) -> Any:
    """The value that a variable of the environment had before the run."""


@source(given=True)
def placeholder(xp: Any, *, name: str, shape: Shape, dtype: Any) -> Any:
    """An array that is fed when the graph is evaluated."""


@source(given=True)
def _constant(xp: Any, *, number: int, shape: Shape, dtype: Any) -> Any:
    """An array that lies beside the graph."""


@source()
def _literal(xp: Any, *, value: Any, shape: Shape, dtype: Any) -> Any:
    """A single number, written into the graph."""
    return xp.asarray(value, dtype=dtype)


@source()
def _full(xp: Any, *, value: Any, shape: Shape, dtype: Any) -> Any:
    """An array of one number, over and over."""
    return xp.full(shape, value, dtype=dtype)


@source()
def _arange(xp: Any, *, start: Any, step: Any, shape: Shape, dtype: Any) -> Any:
    """Numbers with equal steps between them."""
    numbers = start + step * xp.arange(shape[0])
    return xp.cast(numbers, dtype) if saturates(numbers.dtype, np.dtype(dtype)) else numbers.astype(dtype)


@source()
def _eye(xp: Any, *, shift: int, shape: Shape, dtype: Any) -> Any:
    """Ones on a diagonal, zeros elsewhere."""
    return xp.eye(shape[0], shape[1], k=shift, dtype=dtype)


@source()
def _linspace(xp: Any, *, start: float, stop: float, endpoint: bool, shape: Shape, dtype: Any) -> Any:
    """Equally spaced numbers between two ends."""
    return xp.linspace(start, stop, shape[0], endpoint=endpoint, dtype=dtype)


@opaque(shape=lambda value, name: value, vjp=None, pure=False)
def assign(xp: Any, value: Array, *, name: str) -> Any:
    """The value that a variable of the environment will have after the run."""
    return value


# The other half of lg.total, in ops/workers.py: each is the transpose of the other.
@opaque(
    shape=lambda x, among: x,
    vjp=lambda g, y, x: functions["total"](g),
    jvp=lambda t, y, x, *, among: _replicated(t, among=among),
    dtype=kept,
)
def _replicated(xp: Any, x: Array, *, among: Any) -> Any:
    """x, which is the same on all workers, where each goes on with it on its own."""
    return x


_as_op: Any = _replicated
_as_op.outside = True  # a variable is read outside of the bodies of loops


def replicated(x: Tensor, among: Any) -> Tensor:
    """A variable where each of several workers begins to compute with it: its derivative is a sum over them."""
    return x.graph.outermost.apply(_as_op, (x.index,), {"among": among})


def workers_of(graph: Graph) -> int:
    """How many workers run the step that a graph is of."""
    context = graph.outermost.context
    return 1 if context is None else int(context.among.size)


def source_of(x: Tensor) -> Tensor:
    """What was replicated, where ``x`` is that; else ``x`` itself."""
    node = x.graph.nodes[x.index]
    return x.graph.tensor(node.inputs[0]) if node.of(_replicated) else x


NEVER_MASKED = (np.ndarray, float, int)


def refuse_masked(*xs: Any) -> None:
    """Raise SpecError for masked arrays, and lists in which there is one: what is masked is no number."""
    if any(type(x) not in NEVER_MASKED and is_masked(x) for x in xs):
        raise SpecError(report("cannot make a tensor of a masked array", at=here(), cure=FILL))


def numeric(x: Any, default: Any = None, backend: Any = None) -> Any:
    """``x`` as an array of numbers or booleans in native byte order.

    An array keeps its dtype. Python floats, and lists of them, have none and get ``default``, where one is given.
    Arrays that lie on a GPU stay there; they become arrays of ``backend``, or are refused by it.
    """
    if type(x) is np.ndarray:
        array = x
    elif on_device(x):
        array = x if backend is None else backend.taken(x)
        if dtype_of(array).kind in "biuf":
            return array
    else:
        refuse_masked(x)
        try:
            array = numbers(x, lent(x))
        except ValueError:  # ragged lists
            array = np.asarray(None)
        except (RuntimeError, TypeError, BufferError) as reason:  # of the library whose array it is
            if isinstance(reason, LazygradError) or isinstance(x, (tuple, list)):
                raise
            what = f"cannot make a tensor of {type(x).__name__}: its library does not give the numbers"
            cure = "Give a NumPy array: of a tensor of PyTorch x.detach().cpu().numpy()."
            facts = [" ".join(str(reason).split())[:200]]
            raise SpecError(report(what, at=here(), facts=facts, cure=cure)) from None
    if array.dtype.kind not in "biuf":
        shown, facts = f"an array of {array.dtype}" if array.dtype.kind != "O" else f"{type(x).__name__} {x!r:.40}", []
        strange = odd(x, array)
        if strange is not None:
            shown = f"{type(x).__name__} of {array.dtype}{list(array.shape)}"
            facts = [f"{strange.where}:  {strange.value!r:.60}"]
        facts += refused_columns(x)
        raise SpecError(
            report(
                f"cannot make a tensor of {shown}",
                at=here(),
                facts=facts,
                cure="Fill in or leave out what is missing."
                if strange is not None and strange.is_missing
                else "lazygrad computes with real numbers and booleans: give an array of them, a number, "
                "or a list of numbers.",
            )
        )
    if default is not None and has_default(x, array.dtype):
        return array.astype(default)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


@function
def literal(graph: Graph, value: Any, dtype: Any = None) -> Tensor:
    """A number as a 0-d tensor of ``graph``; Python floats get the environment's dtype, if none is given."""
    if dtype is None:
        dtype = np.asarray(value).dtype
        dtype = graph.dtype if has_default(value, dtype) else dtype
    return _literal.write(graph, value=_number(value, np.dtype(dtype)), shape=(), dtype=np.dtype(dtype))


def _number(value: Any, dtype: np.dtype[Any]) -> Any:
    """A number cast to ``dtype``, floats as :func:`astype` casts them; a Python int must be in range."""
    if isinstance(value, (float, np.floating)):
        return cast(np.asarray(value), dtype)[()]
    try:
        return np.asarray(value, dtype=dtype)[()]
    except OverflowError:
        raise SpecError(
            report(f"cannot write {value} as {dtype}: it is out of range", at=here(), cure="Cast the tensor first.")
        ) from None


@function
def constant(graph: Graph, value: Any, dtype: Any = None, default: Any = None) -> Tensor:
    """An array as a tensor of ``graph``; the array is copied. Lists of Python floats get the environment's dtype.

    A variable is no constant: it is read, as ``ctx.variable`` reads it.
    """
    graph = graph.outermost
    if isinstance(value, (Variable, Transposed)):
        return tensor(_read(graph, value), graph, None if dtype is None else checked_dtype(dtype))
    backend = None if graph.context is None else graph.context.env._store.backend
    array = numeric(value, None if dtype is not None else default or graph.dtype, backend)
    if dtype is not None and array.dtype != checked_dtype(dtype):
        array = cast(array, dtype) if isinstance(array, np.ndarray) else array.astype(dtype)
    if array is value or on_device(value) or getattr(array, "base", None) is not None:
        array = array.copy()
    graph.constants.append(array)
    number = len(graph.constants) - 1
    return _constant.write(graph, number=number, shape=array.shape, dtype=array.dtype)


def _read(graph: Graph, value: Variable | Transposed) -> Tensor:
    """A variable of the environment that runs the step."""
    if isinstance(value, Transposed):
        return _read(graph, value.variable).T
    if graph.context is None or not graph.context.has(value._env):
        cure = "Give variables of the environment in which the step is run."
        raise GraphError(report(f"cannot read {value!r}: it is of another environment", at=here(), cure=cure))
    found: Tensor = graph.context.variable(value)
    return found


@function
def asarray(x: TensorLike, dtype: Any = None, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """``x`` as a tensor: a tensor stays itself, a number or anything array-like becomes a constant, which is a copy.

    Raises:
        SpecError: ``x`` is no tensor of numbers, ``copy`` is False and it is an array, or ``device`` is not the
            environment's (``"cpu"``, or ``"gpu"`` with ``backend="cupy"``).
    """
    if copy is False and not isinstance(x, (Tensor, bool, int, float)):
        cure = "What becomes a constant is copied, so that it stays what it is: leave copy out."
        raise SpecError(report("cannot make a tensor without a copy", at=here(), cure=cure))
    made = tensor(x, dtype=None if dtype is None else checked_dtype(dtype))
    check_device(device, made.graph)
    return made


def _shape(what: str, shape: Any) -> Shape:
    try:
        return sized(shape)
    except Mismatch as reason:
        raise SpecError(report(f"cannot make {what}", at=here(), cure=str(reason))) from None


@function
def full(shape: Any, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array of ``shape``, every element ``fill_value``; its dtype is the number's, or ``dtype``."""
    refuse_masked(fill_value)
    check_device(device)
    if isinstance(fill_value, Tensor):
        from_tensor = fill_value if dtype is None else fill_value.astype(dtype)
        return broadcast_to(from_tensor, _shape("full", shape))
    if dtype is None:
        dtype = np.asarray(fill_value).dtype
        dtype = current_graph("make an array").dtype if has_default(fill_value, dtype) else dtype
    dtype = checked_dtype(dtype)
    number = _number(fill_value, dtype)
    return _full(value=number, shape=_shape("full", shape), dtype=dtype)


@function
def zeros(shape: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array of zeros; ``dtype`` is the environment's, if not given."""
    return full(shape, 0.0, dtype, device=device)


@function
def ones(shape: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array of ones; ``dtype`` is the environment's, if not given."""
    return full(shape, 1.0, dtype, device=device)


@function
def empty(shape: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array whose elements do not matter; here they are zeros."""
    return zeros(shape, dtype, device=device)


@function
def full_like(x: TensorLike, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """As :func:`full`, with the shape and dtype of ``x``."""
    x = tensor(x)
    refuse_masked(fill_value)
    check_device(device, x.graph)
    dtype = checked_dtype(x.dtype if dtype is None else dtype)
    if not x.shape:
        return literal(x.graph, fill_value, dtype)
    value = _number(fill_value, dtype)
    return _full.write(x.graph, value=value, shape=x.shape, dtype=dtype)


@function
def zeros_like(x: TensorLike, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros with the shape and dtype of ``x``."""
    return full_like(x, 0, dtype, device=device)


@function
def ones_like(x: TensorLike, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones with the shape and dtype of ``x``."""
    return full_like(x, 1, dtype, device=device)


@function
def empty_like(x: TensorLike, dtype: Any = None, *, device: Any = None) -> Tensor:
    """An array like ``x`` whose elements do not matter; here they are zeros."""
    return zeros_like(x, dtype, device=device)


@function
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Numbers from ``start`` (0 if only one bound is given) up to but not including ``stop``."""
    refuse_masked(start, stop, step)
    check_device(device)
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise SpecError(report("cannot make arange: the step is 0", at=here()))
    if dtype is None:
        whole = all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
        dtype = np.dtype(np.int64) if whole else current_graph("make arange").dtype
    try:
        count = max(0, math.ceil((stop - start) / step))
    except (OverflowError, ValueError):
        cure = f"From {start!r:.40} to {stop!r:.40} there is no number of steps of {step!r:.40}."
        raise SpecError(report("cannot make arange", at=here(), cure=cure)) from None
    return _arange(start=start, step=step, shape=(count,), dtype=checked_dtype(dtype))


@function
def linspace(
    start: float, stop: float, num: int, dtype: Any = None, endpoint: bool = True, *, device: Any = None
) -> Tensor:
    """``num`` equally spaced numbers from ``start`` to ``stop``, the end included if ``endpoint``."""
    refuse_masked(start, stop)
    check_device(device)
    dtype = checked_dtype(dtype) if dtype is not None else current_graph("make linspace").dtype
    return _linspace(
        start=float(start), stop=float(stop), endpoint=endpoint, shape=_shape("linspace", num), dtype=dtype
    )


@function
def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones on the ``k``-th diagonal of a matrix of zeros."""
    check_device(device)
    dtype = checked_dtype(dtype) if dtype is not None else current_graph("make eye").dtype
    return _eye(shift=k, shape=_shape("eye", (n_rows, n_rows if n_cols is None else n_cols)), dtype=dtype)


@function
def meshgrid(*arrays: Any, indexing: str = "xy", sparse: bool = False) -> list[Tensor]:
    """Coordinates of a grid, one tensor an axis, from the 1-d coordinates of its axes.

    The first two axes are those of the second and first array if ``indexing`` is ``"xy"``, in their order if ``"ij"``.
    With ``sparse`` each has size 1 along the axes of the others, so that together they broadcast to the grid.
    """
    if indexing not in ("xy", "ij"):
        cure = "indexing is 'xy' or 'ij'."
        raise SpecError(report(f"cannot meshgrid with indexing={indexing!r}", at=here(), cure=cure))
    tensors = [tensor(a) for a in arrays]
    count = len(tensors)
    order = list(range(count))
    if indexing == "xy" and count > 1:
        order[0], order[1] = 1, 0
    shape = [0] * count
    for t, axis in zip(tensors, order, strict=True):
        shape[axis] = t.size
    grids = []
    for t, axis in zip(tensors, order, strict=True):
        column = [1] * count
        column[axis] = t.size
        laid = reshape(t, tuple(column))
        grids.append(laid if sparse else broadcast_to(laid, tuple(shape)))
    return grids
