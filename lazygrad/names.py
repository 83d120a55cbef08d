"""What things are called here: for whoever types a name that another library has.

A name that stands elsewhere in lazygrad is found there; so every public name is known by itself. The table has only
those that are called otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from lazygrad.errors import report
from lazygrad.values.elsewhere import ARRAYS

__all__ = ["advice", "called", "instead", "public", "publish"]

# The packages with public names, by what users call them; each puts itself in here.
public: dict[str, Any] = {}
_published: set[ModuleType] = set()  # these, and some beside

# What other libraries call it, and what to write here; or a whole sentence.
CALLED = {
    **ARRAYS,
    # NumPy
    "concatenate": "lg.concat",
    "cumsum": "lg.cumulative_sum",
    "cumprod": "lg.cumulative_prod",
    "cummax": "lg.cumulative_max",
    "cummin": "lg.cumulative_min",
    "array": "lg.asarray, in a step",
    "astensor": "lg.asarray, in a step",
    "fromnumpy": "lg.asarray, in a step, or give the array to the step as an argument",
    "deviceput": "lg.VariableEnvironment(backend='cupy')",
    "tensor": "lg.asarray, in a step, or give the array to the step as an argument",
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
    "float_power": "lg.power, of float64",
    "row_stack": "lg.vstack",
    "in1d": "lg.isin",
    "trapz": "lg.trapezoid",
    "msort": "lg.sort(x, axis=0)",
    "true_divide": "lg.divide",
    "degrees": "lg.rad2deg",
    "radians": "lg.deg2rad",
    "amax": "lg.max",
    "amin": "lg.min",
    "product": "lg.prod",
    "rint": "lg.round",
    "around": "lg.round",
    "fix": "lg.trunc",
    "inverse": "lg.linalg.inv",
    "random": "ctx.random, in a step",
    "randn": "ctx.random.normal(shape), in a step",
    "rand": "ctx.random.uniform(shape), in a step",
    # PyTorch
    "detach": "lg.stop_gradient",
    "cat": "lg.concat",
    "clamp": "lg.clip",
    "clip_grad_norm_": "lg.optim.clip_by_global_norm",
    "clip_grad_value_": "lg.optim.clip_by_value",
    "unsqueeze": "lg.expand_dims",
    "permute": "lg.permute_dims",
    "view": "x.reshape(shape)",
    "reshape_as": "x.reshape(shape)",
    "view_as": "x.reshape(shape)",
    "expand": "lg.broadcast_to",
    "numel": "x.size",
    "dim": "x.ndim",
    "t": "x.T",
    "mm": "lg.matmul",
    "bmm": "lg.matmul",
    "mv": "lg.matmul",
    "gather": "lg.take_along_axis",
    "index_select": "lg.take",
    "masked_fill": "lg.where",
    "lgamma": "lg.gammaln",
    "topk": "lg.top_k",
    "backward": "lg.grad(loss, variables)",
    "requires_grad": "trainable=, when a variable is registered",
    "no_grad": "lg.stop_gradient",
    "zero_grad": "It is not needed: a gradient belongs to one call of a step.",
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
    "clone": "It is not needed: a tensor never changes.",
    "copy": "It is not needed: a tensor never changes.",
    "contiguous": "It is not needed: a tensor has no layout.",
    "Parameter": "env.name(name).set(array)",
    "Module": "lg.nn.Layer",
    "DataLoader": "lg.batches",
    "CrossEntropyLoss": "lg.nn.cross_entropy",
    "MSELoss": "lg.nn.mean_squared_error",
    "L1Loss": "lg.nn.mean_absolute_error",
    "NLLLoss": "lg.nn.negative_log_likelihood",
    "BCEWithLogitsLoss": "lg.nn.binary_cross_entropy_with_logits",
    "bce_with_logits": "lg.nn.binary_cross_entropy_with_logits",
    "SmoothL1Loss": "lg.nn.huber",
    "HuberLoss": "lg.nn.huber",
    "KLDivLoss": "lg.nn.kl_divergence",
    "labelencoder": "lg.Categories",
    "ordinalencoder": "lg.Categories",
    "stringlookup": "lg.Categories",
    "sampleweight": "sample_weight=, which lg.fit takes",
    "classweight": "class_weight=, which lg.fit takes",
    "ctcloss": "lg.nn.ctc",
    "tripletmarginloss": "lg.nn.triplet",
    "cosineembeddingloss": "lg.nn.cosine",
    "cosinesimilarity": "1 - lg.nn.cosine(x, y)",
    "poissonnllloss": "lg.nn.poisson_nll",
    "gaussiannllloss": "lg.nn.gaussian_nll",
    "pinballloss": "lg.nn.quantile",
    "focalloss": "lg.nn.focal",
    "sigmoidfocalloss": "lg.nn.binary_focal_with_logits",
    "Hardtanh": "lg.nn.hard_tanh",
    "swish": "lg.nn.silu",
    "hard_silu": "lg.nn.hard_swish",
    "PReLU": "lg.nn.leaky_relu, whose slope may be a variable",
    "LeakyReLU": "lg.nn.leaky_relu",
    "BatchNorm1d": "lg.nn.BatchNorm",
    "BatchNorm2d": "lg.nn.BatchNorm",
    "AvgPool2d": "lg.nn.AvgPool2d",
    "MaxPool2d": "lg.nn.MaxPool2d",
    # scipy.stats, torch.distributions
    "distributions": "lg.stats",
    "log_prob": "the logpdf or logpmf of a distribution, as lg.stats.norm.logpdf",
    "rvs": "ctx.random, in a step",
    "StudentT": "lg.stats.t",
    "Exponential": "lg.stats.expon",
    "HalfNormal": "lg.stats.halfnorm",
    "InverseGamma": "lg.stats.invgamma",
    "Weibull": "lg.stats.weibull_min",
    "Binomial": "lg.stats.binom",
    "NegativeBinomial": "lg.stats.nbinom",
    "Geometric": "lg.stats.geom",
    # scipy.special, torch.special
    "special": "Special functions stand in lg itself: lg.erf, lg.gammainc.",
    "expit": "lg.nn.sigmoid",
    "log_expit": "lg.nn.log_sigmoid",
    "psi": "lg.digamma",
    "loggamma": "lg.gammaln",
    "mvlgamma": "lg.multigammaln",
    "comb": "lg.binom",
    "igamma": "lg.gammainc",
    "igammac": "lg.gammaincc",
    "bessel_i0": "lg.i0",
    "bessel_i1": "lg.i1",
    "modified_bessel_i0": "lg.i0",
    "modified_bessel_i1": "lg.i1",
    # Keras, JAX
    "Dense": "lg.nn.Linear",
    "BatchNormalization": "lg.nn.BatchNorm",
    "LayerNormalization": "lg.nn.LayerNorm",
    "MaxPooling2D": "lg.nn.MaxPool2d",
    "AveragePooling2D": "lg.nn.AvgPool2d",
    "mse": "lg.nn.mean_squared_error",
    "mae": "lg.nn.mean_absolute_error",
    "SparseCategoricalCrossentropy": "lg.nn.cross_entropy",
    "CategoricalCrossentropy": "lg.nn.cross_entropy",
    "softmax_cross_entropy": "lg.nn.cross_entropy",
    "sigmoid_cross_entropy": "lg.nn.binary_cross_entropy_with_logits",
    "bce": "lg.nn.binary_cross_entropy_with_logits",
    "jit": "env.compile(step)",
    "compile": "env.compile(step)",
    "gradient": "lg.grad, or lg.central_difference of samples",
    "value_and_grad": "lg.grad, beside the value itself",
    "hvp": "lg.hessian_vector_product",
    "vjp": "lg.grad(y, x, grad_ys)",
    "stop_gradients": "lg.stop_gradient",
    "custom_vjp": "lg.custom_gradient",
    "placeholder": "the arguments of a step, or ctx.placeholder",
    "constant": "ctx.constant, in a step",
    "clip_by_norm": "lg.optim.clip_by_global_norm",
    "clip_by_global_norm": "lg.optim.clip_by_global_norm",
    "ReduceLROnPlateau": "lg.ReduceOnPlateau",
    "AveragedModel": "lg.optim.average",
    "EMA": "lg.optim.average(optimizer, decay)",
    "ExponentialMovingAverage": "lg.optim.average(optimizer, decay)",
    "SWA": "lg.optim.average(optimizer, start=...)",
    "MultiSteps": "lg.optim.accumulate",
    "param_groups": "rates={name: rate}, of an optimizer",
    "momentum": "lg.optim.SGD(env, rate, momentum=0.9)",
    # SciPy and JAX
    "fsolve": "lg.optimize.root",
    "solve_ivp": "lg.odeint(f, y0, t), with f(t, y)",
    "odesolve": "lg.odeint(f, y0, t), with f(t, y)",
    "diffeqsolve": "lg.odeint(f, y0, t), with f(t, y)",
    "runge_kutta": "lg.odeint, or lg.integrate.rk4 with steps that are given",
    "dopri5": "lg.odeint(..., method='dopri5')",
    "tsit5": "lg.odeint(..., method='tsit5')",
    "pack_padded_sequence": "the argument lengths= of lg.nn.LSTM, lg.nn.GRU and lg.nn.RNN",
    "bidirectional": "lg.nn.LSTM(..., bidirectional=True)",
    "leastsq": "lg.optimize.least_squares",
    "custom_root": "lg.implicit",
    "remat": "lg.checkpoint",
    "switch": "lg.cond, one in the other",
}


# Public here, but another thing than the method or the function of NumPy's that somebody gives a tensor to.
OTHERWISE = {
    "bool": "x.astype(bool)",
    "grad": "lg.grad(loss, variables)",
    "gradient": "lg.central_difference, for the slopes of what was sampled; lg.grad for derivatives",
    "ravel": "lg.flatten",
}


def _plain(name: str) -> str:
    return name.casefold().replace("_", "")


_CALLED = {_plain(name): answer for name, answer in CALLED.items()}


def called() -> list[tuple[str, str]]:
    """What other libraries call it, and what to write here, in the order of the alphabet."""
    return sorted({**OTHERWISE, **CALLED}.items(), key=lambda pair: _plain(pair[0]))


def advice(name: str, place: str = "") -> str:
    """A sentence that says what ``name`` is called here, or what is near to it, in ``place`` first; else nothing."""
    for wanted in (str, _plain):
        for other, module in public.items():
            found = next((n for n in module.__all__ if wanted(n) == wanted(name)), None)
            if found is not None and (other != "lg.stats" or place == other or _plain(name) not in _CALLED):
                return f"It is {other}.{found}."
    known = _CALLED.get(_plain(name))
    if known is not None:
        return known if known.endswith(".") else f"Write {known}."
    return _near(name, place)


def instead(name: str) -> str:
    """As :func:`advice`, for a method that a tensor has not, and a function of NumPy's that is given one."""
    other = OTHERWISE.get(_plain(name))
    return advice(name) if other is None else f"Write {other}."


def _near(name: str, place: str) -> str:
    import difflib

    known: dict[str, str] = {}
    for other, module in sorted(public.items(), key=lambda item: item[0] != place):
        for n in module.__all__:
            known.setdefault(_plain(n), f"{other}.{n}")
    near = difflib.get_close_matches(_plain(name), known, n=3, cutoff=0.7)
    return "Did you mean " + " or ".join(known[n] for n in near) + "?" if near else ""


def publish(module: str, place: str, advised: bool = True) -> None:
    """Make the names of a module public under ``place``: what it lists, else what it has without an underscore.

    Of modules within it those are public that have been published. A name that it has not is answered with what it is
    called here.

    Args:
        advised: whether its names are given as answers.
    """
    room = sys.modules[module]
    _published.add(room)
    if advised:
        public[place] = room
    if "__all__" not in vars(room):
        room.__all__ = sorted(name for name, value in vars(room).items() if _is_public(name, value))  # type: ignore[attr-defined]
    vars(room).setdefault("__dir__", lambda: sorted(room.__all__))
    vars(room).setdefault("__getattr__", _refuser(place))


def _is_public(name: str, value: Any) -> bool:
    ours = isinstance(value, ModuleType) and value.__name__.startswith("lazygrad.")
    return name == "__version__" or (not name.startswith("_") and (not ours or value in _published))


def _refuser(place: str) -> Callable[[str], NoReturn]:
    """The ``__getattr__`` of a module: an AttributeError that says what a name is called here."""

    def refuse(name: str) -> NoReturn:
        if name.startswith("_"):  # Python and tools ask for these, and need no advice
            raise AttributeError(f"module {place!r} has no attribute {name!r}")
        raise AttributeError(report(f"there is no {place}.{name}", cure=advice(name, place)))

    return refuse
