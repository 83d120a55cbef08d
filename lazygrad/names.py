"""What things are called here: for whoever types a name that another library has.

A name that stands elsewhere in lazygrad is found there; so every public name is known by itself. The table has only
those that are called otherwise.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from lazygrad.errors import report

__all__ = ["advice", "lister", "public", "refuser"]

# The packages with public names, by what users call them; each puts itself in here.
public: dict[str, Any] = {}

# What other libraries call it, in lower case and without underscores, and what to write here; or a whole sentence.
CALLED = {
    # NumPy
    "concatenate": "lg.concat",
    "hstack": "lg.concat(xs, axis=1)",
    "vstack": "lg.concat(xs, axis=0)",
    "cumsum": "lg.cumulative_sum",
    "cumprod": "lg.cumulative_prod",
    "cummax": "lg.cumulative_max",
    "cummin": "lg.cumulative_min",
    "array": "lg.asarray, in a step",
    "arccos": "lg.acos",
    "arccosh": "lg.acosh",
    "arcsin": "lg.asin",
    "arcsinh": "lg.asinh",
    "arctan": "lg.atan",
    "arctan2": "lg.atan2",
    "arctanh": "lg.atanh",
    "absolute": "lg.abs",
    "fabs": "lg.abs",
    "conjugate": "lg.conj",
    "invert": "lg.bitwise_invert",
    "mod": "lg.remainder",
    "fmod": "lg.remainder",
    "truedivide": "lg.divide",
    "degrees": "lg.rad2deg",
    "radians": "lg.deg2rad",
    "amax": "lg.max",
    "amin": "lg.min",
    "product": "lg.prod",
    "ravel": "lg.flatten",
    "rint": "lg.round",
    "around": "lg.round",
    "fix": "lg.trunc",
    "fliplr": "lg.flip(x, axis=1)",
    "flipud": "lg.flip(x, axis=0)",
    "newaxis": "None, as in x[:, None]",
    "inverse": "lg.linalg.inv",
    "random": "ctx.random, in a step",
    "randn": "ctx.random.normal(shape), in a step",
    "rand": "ctx.random.uniform(shape), in a step",
    "float16": "the string 'float16', as in x.astype('float16')",
    "float32": "the string 'float32', as in x.astype('float32')",
    "float64": "the string 'float64', as in x.astype('float64')",
    "int32": "the string 'int32', as in x.astype('int32')",
    "int64": "the string 'int64', as in x.astype('int64')",
    # PyTorch
    "detach": "lg.stop_gradient",
    "cat": "lg.concat",
    "clamp": "lg.clip",
    "clipgradnorm": "lg.optim.clip_by_global_norm",
    "clipgradvalue": "lg.optim.clip_by_value",
    "unsqueeze": "lg.expand_dims",
    "permute": "lg.permute_dims",
    "view": "x.reshape(shape)",
    "reshapeas": "x.reshape(shape)",
    "viewas": "x.reshape(shape)",
    "expand": "lg.broadcast_to",
    "numel": "x.size",
    "dim": "x.ndim",
    "t": "x.T",
    "mm": "lg.matmul",
    "bmm": "lg.matmul",
    "mv": "lg.matmul",
    "gather": "lg.take_along_axis",
    "indexselect": "lg.take",
    "maskedfill": "lg.where",
    "lgamma": "lg.gammaln",
    "topk": "lg.top_k",
    "backward": "lg.grad(loss, variables)",
    "grad": "lg.grad(loss, variables)",
    "requiresgrad": "trainable=, when a variable is registered",
    "nograd": "lg.stop_gradient",
    "zerograd": "It is not needed: a gradient belongs to one call of a step.",
    "item": "Return the tensor from the step and use the array it gives, or call .eval() inside env.run.",
    "numpy": "Return the tensor from the step and use the array it gives, or call .eval() inside env.run.",
    "tolist": "Return the tensor from the step and use the array it gives, or call .eval() inside env.run.",
    "cpu": "lg.VariableEnvironment(backend='numpy')",
    "cuda": "lg.VariableEnvironment(backend='cupy')",
    "device": "lg.VariableEnvironment(backend=...)",
    "to": "x.astype(dtype)",
    "type": "x.astype(dtype)",
    "float": "x.astype('float32')",
    "double": "x.astype('float64')",
    "half": "x.astype('float16')",
    "long": "x.astype('int64')",
    "int": "x.astype('int32')",
    "bool": "x.astype(bool)",
    "clone": "It is not needed: a tensor never changes.",
    "copy": "It is not needed: a tensor never changes.",
    "contiguous": "It is not needed: a tensor has no layout.",
    "parameter": "env.name(name).set(array)",
    "module": "lg.nn.Layer",
    "dataloader": "lg.batches",
    "crossentropyloss": "lg.nn.cross_entropy",
    "mseloss": "lg.nn.mean_squared_error",
    "l1loss": "lg.nn.mean_absolute_error",
    "nllloss": "lg.nn.negative_log_likelihood",
    "bcewithlogitsloss": "lg.nn.binary_cross_entropy_with_logits",
    "bcewithlogits": "lg.nn.binary_cross_entropy_with_logits",
    "smoothl1loss": "lg.nn.huber",
    "huberloss": "lg.nn.huber",
    "kldivloss": "lg.nn.kl_divergence",
    "ctcloss": "lg.nn.ctc",
    "tripletmarginloss": "lg.nn.triplet",
    "cosineembeddingloss": "lg.nn.cosine",
    "cosinesimilarity": "1 - lg.nn.cosine(x, y)",
    "poissonnllloss": "lg.nn.poisson_nll",
    "gaussiannllloss": "lg.nn.gaussian_nll",
    "pinballloss": "lg.nn.quantile",
    "focalloss": "lg.nn.focal",
    "sigmoidfocalloss": "lg.nn.binary_focal_with_logits",
    "hardtanh": "lg.nn.hard_tanh",
    "swish": "lg.nn.silu",
    "leakyrelu": "lg.nn.leaky_relu",
    "batchnorm1d": "lg.nn.BatchNorm",
    "batchnorm2d": "lg.nn.BatchNorm",
    "avgpool2d": "lg.nn.AvgPool2d",
    "maxpool2d": "lg.nn.MaxPool2d",
    # Keras, JAX
    "dense": "lg.nn.Linear",
    "batchnormalization": "lg.nn.BatchNorm",
    "layernormalization": "lg.nn.LayerNorm",
    "maxpooling2d": "lg.nn.MaxPool2d",
    "averagepooling2d": "lg.nn.AvgPool2d",
    "mse": "lg.nn.mean_squared_error",
    "mae": "lg.nn.mean_absolute_error",
    "sparsecategoricalcrossentropy": "lg.nn.cross_entropy",
    "categoricalcrossentropy": "lg.nn.cross_entropy",
    "softmaxcrossentropy": "lg.nn.cross_entropy",
    "sigmoidcrossentropy": "lg.nn.binary_cross_entropy_with_logits",
    "bce": "lg.nn.binary_cross_entropy_with_logits",
    "jit": "env.compile(step)",
    "compile": "env.compile(step)",
    "gradient": "lg.grad",
    "valueandgrad": "lg.grad, beside the value itself",
    "hvp": "lg.hessian_vector_product",
    "vjp": "lg.grad(y, x, grad_ys)",
    "stopgradients": "lg.stop_gradient",
    "customvjp": "lg.custom_gradient",
    "placeholder": "the arguments of a step, or ctx.placeholder",
    "constant": "ctx.constant, in a step",
    "clipbynorm": "lg.optim.clip_by_global_norm",
    "clipbyglobalnorm": "lg.optim.clip_by_global_norm",
}


def _plain(name: str) -> str:
    return name.casefold().replace("_", "")


def advice(name: str, place: str = "") -> str:
    """A sentence that says what ``name`` is called here, or what is near to it, in ``place`` first; else nothing."""
    for wanted in (str, _plain):
        for other, module in public.items():
            found = next((n for n in module.__all__ if wanted(n) == wanted(name)), None)
            if found is not None:
                return f"It is {other}.{found}."
    called = CALLED.get(_plain(name))
    if called is not None:
        return called if called.endswith(".") else f"Write {called}."
    return _near(name, place)


def _near(name: str, place: str) -> str:
    known: dict[str, str] = {}
    for other, module in sorted(public.items(), key=lambda item: item[0] != place):
        for n in module.__all__:
            known.setdefault(_plain(n), f"{other}.{n}")
    near = difflib.get_close_matches(_plain(name), known, n=3, cutoff=0.7)
    return "Did you mean " + " or ".join(known[n] for n in near) + "?" if near else ""


def refuser(place: str) -> Callable[[str], NoReturn]:
    """The ``__getattr__`` of a package: an AttributeError that says what a name is called here."""

    def refuse(name: str) -> NoReturn:
        if name.startswith("_"):  # Python and tools ask for these, and need no advice
            raise AttributeError(f"module {place!r} has no attribute {name!r}")
        raise AttributeError(report(f"there is no {place}.{name}", cure=advice(name, place)))

    return refuse


def lister(names: Iterable[str]) -> Callable[[], list[str]]:
    """The ``__dir__`` of a package: its public names only."""
    listed = sorted(names)
    return lambda: list(listed)
