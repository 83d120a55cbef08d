"""What NumPy, PyTorch, JAX and we answer to the questions of a page: ``python -m benchmarks.conventions``.

The page is ``docs/numerics.md``. Peers that are not installed are left out, as are questions one has no words for.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg

INF, NAN = float("inf"), float("nan")


class Lazygrad:
    """Ours: every answer is a step of its own."""

    name = "lazygrad"

    def __init__(self) -> None:
        self.env = lg.VariableEnvironment(seed=0)

    def value(self, f: Callable[..., Any], *xs: Any) -> Any:
        """f of arrays."""
        return self.env.run(lambda ctx, *ts: f(*ts), *map(np.asarray, xs))

    def gradient(self, f: Callable[..., Any], *xs: Any) -> Any:
        """The gradient of the sum of f, in float32."""
        arrays = [np.asarray(x, "float32") for x in xs]
        return self.env.run(lambda ctx, *ts: lg.grad(lg.sum(f(*ts)), list(ts)), *arrays)

    def hessian(self, f: Callable[..., Any], x: Any) -> Any:
        """Second derivatives."""
        return self.env.run(lambda ctx, t: lg.hessian(f(t), t), np.asarray(x, "float32"))


class Numpy:
    """NumPy, which has no derivatives."""

    name = "NumPy"

    def value(self, f: Callable[..., Any], *xs: Any) -> Any:
        """f of arrays."""
        return f(*map(np.asarray, xs))


class Torch:
    """PyTorch."""

    name = "PyTorch"

    def __init__(self) -> None:
        self.torch = importlib.import_module("torch")

    def value(self, f: Callable[..., Any], *xs: Any) -> Any:
        """f of tensors."""
        return np.asarray(f(*[self.torch.from_numpy(np.array(x)) for x in xs]))

    def gradient(self, f: Callable[..., Any], *xs: Any) -> Any:
        """The gradient of the sum of f, in float32."""
        ts = [self.torch.tensor(x, dtype=self.torch.float32, requires_grad=True) for x in xs]
        return [g.numpy() for g in self.torch.autograd.grad(f(*ts).sum(), ts)]

    def hessian(self, f: Callable[..., Any], x: Any) -> Any:
        """Second derivatives."""
        return self.torch.autograd.functional.hessian(f, self.torch.tensor(x)).numpy()


class Jax:
    """JAX, with its own default of 32 bits for integers and floats but where 64 are asked for."""

    name = "JAX"

    def __init__(self) -> None:
        self.jax = importlib.import_module("jax")

    def value(self, f: Callable[..., Any], *xs: Any) -> Any:
        """f of arrays."""
        return np.asarray(f(*map(self.jax.numpy.asarray, xs)))

    def gradient(self, f: Callable[..., Any], *xs: Any) -> Any:
        """The gradient of the sum of f, in float32."""
        arrays = [self.jax.numpy.asarray(x, "float32") for x in xs]
        return self.jax.grad(lambda *ts: f(*ts).sum(), argnums=tuple(range(len(xs))))(*arrays)

    def hessian(self, f: Callable[..., Any], x: Any) -> Any:
        """Second derivatives."""
        return self.jax.hessian(f)(self.jax.numpy.asarray(x, "float32"))


# A question: what is asked, of which arrays, and in the words of each library; None where it has none.
QUESTIONS: list[tuple[str, str, tuple[Any, ...], Callable[..., Any] | None, Any, Any, Any]] = [
    ("gradient", "where(x > 0, log(x), 0) at 0", ([0.0],), lambda x: lg.where(x > 0, lg.log(x), 0), None,
     lambda t: lambda x: t.where(x > 0, t.log(x), 0.0), lambda j: lambda x: j.numpy.where(x > 0, j.numpy.log(x), 0)),
    ("gradient", "maximum(sqrt(x), 1e-3) at 0", ([0.0],), lambda x: lg.maximum(lg.sqrt(x), 1e-3), None,
     lambda t: lambda x: t.maximum(t.sqrt(x), t.tensor(1e-3)),
     lambda j: lambda x: j.numpy.maximum(j.numpy.sqrt(x), 1e-3)),
    ("gradient", "relu(-1 / x) at 0", ([0.0],), lambda x: lg.nn.relu(-1 / x), None,
     lambda t: lambda x: t.relu(-1 / x), lambda j: lambda x: j.nn.relu(-1 / x)),
    ("gradient", "norm at 0", ([0.0, 0.0],), lg.linalg.vector_norm, None,
     lambda t: t.linalg.vector_norm, lambda j: j.numpy.linalg.norm),
    ("hessian", "norm² at 0", ([0.0, 0.0],), lambda x: lg.linalg.vector_norm(x) ** 2, None,
     lambda t: lambda x: t.linalg.vector_norm(x) ** 2, lambda j: lambda x: j.numpy.linalg.norm(x) ** 2),
    ("gradient", "std of equal numbers", ([1.0, 1.0],), lg.std, None,
     lambda t: lambda x: t.std(x, correction=0), lambda j: j.numpy.std),
    ("gradient", "hypot(0, 0)", ([0.0], [0.0]), lg.hypot, None, lambda t: t.hypot, lambda j: j.numpy.hypot),
    ("gradient", "abs at 0", ([0.0],), lg.abs, None, lambda t: t.abs, lambda j: j.numpy.abs),
    ("gradient", "relu at 0", ([0.0],), lg.nn.relu, None, lambda t: t.relu, lambda j: j.nn.relu),
    ("gradient", "sqrt at 0", ([0.0],), lg.sqrt, None, lambda t: t.sqrt, lambda j: j.numpy.sqrt),
    ("gradient", "maximum(1, 1)", ([1.0], [1.0]), lg.maximum, None, lambda t: t.maximum, lambda j: j.numpy.maximum),
    ("gradient", "max([2, 1, 2])", ([2.0, 1.0, 2.0],), lg.max, None, lambda t: t.amax, lambda j: j.numpy.max),
    ("gradient", "clip(x, 0, 1) at 0, 1", ([0.0, 1.0],), lambda x: lg.clip(x, 0, 1), None,
     lambda t: lambda x: t.clip(x, 0, 1), lambda j: lambda x: j.numpy.clip(x, 0, 1)),
    ("value", "median([1, nan, 2])", ([1.0, NAN, 2.0],), lg.median, np.median, lambda t: t.median,
     lambda j: j.numpy.median),
    ("gradient", "logaddexp(inf, 2)", ([INF], [2.0]), lg.logaddexp, None, lambda t: t.logaddexp,
     lambda j: j.numpy.logaddexp),
    ("gradient", "logsumexp([inf, 2])", ([INF, 2.0],), lg.logsumexp, None, lambda t: lambda x: t.logsumexp(x, 0),
     lambda j: j.scipy.special.logsumexp),
    ("gradient", "logsumexp([-inf, -inf])", ([-INF, -INF],), lg.logsumexp, None,
     lambda t: lambda x: t.logsumexp(x, 0), lambda j: j.scipy.special.logsumexp),
    ("gradient", "logaddexp(3e7, 3e7)", ([3e7], [3e7]), lg.logaddexp, None, lambda t: t.logaddexp,
     lambda j: j.numpy.logaddexp),
    ("gradient", "log_ndtr at -1e4", ([-1e4],), lg.log_ndtr, None, lambda t: t.special.log_ndtr,
     lambda j: j.scipy.special.log_ndtr),
    ("gradient", "sinc at 1e-4", ([1e-4],), lg.sinc, None, lambda t: t.sinc, lambda j: j.numpy.sinc),
    ("value", "norm of [3e30, 4e30]", (np.float32([3e30, 4e30]),), lg.linalg.vector_norm, np.linalg.norm,
     lambda t: t.linalg.vector_norm, lambda j: j.numpy.linalg.norm),
    ("value", "norm of [3e-30, 4e-30]", (np.float32([3e-30, 4e-30]),), lg.linalg.vector_norm, np.linalg.norm,
     lambda t: t.linalg.vector_norm, lambda j: j.numpy.linalg.norm),
    ("value", "softmax of uint8 [1, 2, 3]", (np.uint8([1, 2, 3]),), lg.nn.softmax, None,
     lambda t: lambda x: t.softmax(x, 0), lambda j: j.nn.softmax),
    ("value", "mean of int64 [2**62] * 3", (np.int64([2**62] * 3),), lg.mean, np.mean, lambda t: t.mean, None),
    ("value", "-1, 300, nan to uint8", ([-1.0, 300.0, NAN],), lambda x: lg.astype(x, "uint8"),
     lambda x: x.astype("uint8"), lambda t: lambda x: x.to(t.uint8), lambda j: lambda x: x.astype("uint8")),
    ("value", "nan, inf to int64", ([NAN, INF],), lambda x: lg.astype(x, "int64"), lambda x: x.astype("int64"),
     lambda t: lambda x: x.to(t.int64), None),
    ("value", "mean of ten float16 40000", (np.full(10, 40000, "float16"),), lg.mean, np.mean, lambda t: t.mean,
     lambda j: j.numpy.mean),
    ("value", "sum of 30000 float16 ones over axis 0", (np.ones((30000, 2), "float16"),),
     lambda x: lg.sum(x, axis=0), lambda x: np.sum(x, axis=0), lambda t: lambda x: t.sum(x, 0),
     lambda j: lambda x: j.numpy.sum(x, axis=0)),
    ("value", "norm of float16 [300, 400]", (np.float16([300, 400]),), lg.linalg.vector_norm, np.linalg.norm,
     lambda t: t.linalg.vector_norm, lambda j: j.numpy.linalg.norm),
]  # fmt: skip


def answer(library: Any, how: str, f: Callable[..., Any] | None, arrays: tuple[Any, ...]) -> str:
    """What a library answers, in few words."""
    if f is None or not hasattr(library, how):
        return "–"
    try:
        with np.errstate(all="ignore"):
            found = getattr(library, how)(f, *arrays)
    except Exception as reason:  # a dtype that is refused, say
        return f"refused ({type(reason).__name__})"
    listed = found if isinstance(found, (list, tuple)) else [found]
    return ", ".join(" ".join(np.array2string(np.asarray(x), precision=4).split()) for x in listed)


def main() -> int:
    """Print a row a question."""
    warnings.simplefilter("ignore")
    libraries: list[Any] = [Lazygrad(), Numpy()]
    for peer in (Torch, Jax):
        try:
            libraries.append(peer())
        except ModuleNotFoundError as reason:
            print(f"{peer.name} is left out: {reason}", file=sys.stderr)
    print(" | ".join(["question", *(library.name for library in libraries)]))
    for how, what, arrays, ours, numpy, torch, jax in QUESTIONS:
        words = {"lazygrad": ours, "NumPy": numpy}
        row = [f"{how} of {what}" if how != "value" else what]
        for library in libraries:
            if library.name in words:
                f = words[library.name]
            elif library.name == "PyTorch":
                f = torch and torch(library.torch)
            else:
                f = jax and jax(library.jax)
            row.append(answer(library, how, f, arrays))
        print(" | ".join(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
