"""How a family of distributions is declared: its standard form as formulas, from which its functions follow.

A family on the line says how likely z is, in the standard place and of the standard size, and what else it knows::

    expon = Continuous(
        "expon",
        "Exponential distribution: e⁻ᶻ for z ≥ 0.",
        logpdf=lambda z: -z,
        cdf=lambda z: -expm1(-z),
        support=(0.0, inf),
    )

Then ``expon.logpdf(x, loc=0.0, scale=1.0)`` and its kin are plain functions of tensors: z = (x − loc) / scale, the
density is divided by the scale, and outside of the support the formulas are never asked. What stands in a formula
beside z are the shapes of the family, arguments of all its functions: numbers above 0, unless ``domains`` says so.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import floor
from lazygrad.ops.comparison import equal, isnan, logical_and, logical_not, logical_or, not_equal, where
from lazygrad.ops.elementary import exp, log, log1p
from lazygrad.ops.movement import astype

__all__ = ["REAL", "UNIT", "Continuous", "Discrete", "Several", "inf"]

inf = math.inf
Formula = Callable[..., Any]
Domain = tuple[str, Callable[[Any], Any]]

POSITIVE: Domain = ("positive", lambda v: v > 0)
REAL: Domain = ("a real number", lambda v: v == v)
UNIT: Domain = ("from 0 to 1", lambda v: logical_and(v >= 0, v <= 1) if isinstance(v, Tensor) else 0 <= v <= 1)

WORDS = {
    "logpdf": "Logarithm of the density at x.",
    "pdf": "Density at x.",
    "logpmf": "Logarithm of the probability of k.",
    "pmf": "Probability of k.",
    "cdf": "Probability of x or less.",
    "sf": "Probability of more than x, precise where it is small.",
    "logcdf": "Logarithm of the probability of x or less.",
    "logsf": "Logarithm of the probability of more than x.",
    "ppf": "The x of which the probability of x or less is p.",
    "isf": "The x of which the probability of more than x is q, precise where q is small.",
}


def _published(name: str) -> Any:
    """The family of that name in ``lg.stats``."""
    return getattr(sys.modules[__package__], name)


class Family:
    """Functions of a family by name, with what it has in common for all of them."""

    def __init__(self, name: str, about: str, shapes: Sequence[str] = (), domains: Mapping[str, Domain] = {}) -> None:
        self.__doc__ = about
        self._name, self._shapes, self._domains = name, shapes, domains
        self._counts = False  # whether places are whole numbers
        self._functions: list[str] = []
        self._makers: dict[str, Callable[[], Any]] = {}  # a function is made when it is asked for: that takes a moment

    def __repr__(self) -> str:
        return f"<lg.stats.{self._name}: {', '.join(self._functions)}>"

    def __dir__(self) -> list[str]:
        return list(self._functions)

    def __reduce__(self) -> Any:
        return _published, (self._name,)  # there is one of each

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._makers:
            setattr(self, name, self._makers[name]())
            return vars(self)[name]
        cure = f"It has {', '.join(self._functions)}."
        if name in ("rvs", "sample", "rsample"):
            cure += " Random numbers are drawn in a step, with ctx.random."
        raise AttributeError(report(f"there is no lg.stats.{self._name}.{name}", cure=cure))

    def _add(self, key: str, function: Callable[..., Tensor], parameters: Iterable[tuple[str, Any]]) -> None:
        """Make ``function`` a public one of the family, with its signature."""
        self._functions.append(key)
        self._makers[key] = lambda: self._made(key, function, parameters)

    def _made(self, key: str, function: Callable[..., Tensor], parameters: Iterable[tuple[str, Any]]) -> Any:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        listed = [inspect.Parameter(name, kind, default=default) for name, default in parameters]
        signature = inspect.Signature(listed, return_annotation=Tensor)

        def within(numbers: Mapping[str, Any], **given: Any) -> Tensor:
            return function(**given, **numbers)

        # Python's numbers are weak, and 0 and 1 need no computing: they do not become tensors.
        beside = inspect.Parameter("numbers", inspect.Parameter.KEYWORD_ONLY)
        vars(within).update(__signature__=inspect.Signature([*listed, beside]))
        within.__name__ = key
        wide = in_floats(*[p.name for p in listed])(within)

        def made(*args: Any, **settings: Any) -> Tensor:
            try:
                bound = signature.bind(*args, **settings)
            except TypeError as reason:
                raise TypeError(f"{self._name}.{key}{_shown(listed)}: {reason}") from None
            bound.apply_defaults()
            place, *parameters = bound.arguments.items()
            for name, value in parameters:
                self._check(name, value)
            numbers = {name: value for name, value in parameters if _is_weak(value)}
            given = dict([place, *((name, value) for name, value in parameters if name not in numbers)])
            if self._counts and any(not _is_whole(value) for name, value in given.items() if name != place[0]):
                # Whole numbers take the dtype of the other parameters.
                numbers |= {name: given.pop(name) for name in list(given) if _is_whole(given[name])}
            return wide(**given, numbers=numbers)

        return self._named(key, made, signature, f"{WORDS[key]}\n\n{self.__doc__}")

    def _named(self, key: str, function: Any, signature: inspect.Signature, about: str) -> Any:
        vars(function).update(__signature__=signature)
        function.__name__, function.__qualname__, function.__doc__ = key, f"{self._name}.{key}", about
        function.__module__ = "lazygrad.stats"
        return function

    def _check(self, name: str, value: Any) -> None:
        """Refuse a number that is out of its domain; what is in a tensor gives NaN."""
        if name == "loc" or isinstance(value, Tensor) or not isinstance(value, (int, float, np.number)):
            return
        words, fits = self._domains.get(name, POSITIVE)
        if not fits(value) and value == value:
            cure = f"{name} must be {words}."
            raise SpecError(report(f"cannot ask lg.stats.{self._name} with {name}={value}", at=here(), cure=cure))

    def _held(self, name: str, value: Any) -> Any:
        """A parameter; NaN where a tensor is out of its domain."""
        _, fits = self._domains.get(name, POSITIVE)
        return where(fits(value), value, np.nan) if isinstance(value, Tensor) else value

    def _parameters(self, x: Any, loc: Any, scale: Any, shapes: Mapping[str, Any]) -> tuple[Tensor, list[Any]]:
        """(x − loc) / scale, and the shapes."""
        beside = [p for p in (loc, scale, *shapes.values()) if isinstance(p, Tensor)]
        x, *_ = tensors(x, *beside)
        x = x if x.dtype.kind == "f" else astype(x, beside[0].dtype)
        valid = self._valid(x, shapes)
        x = x if _is(loc, 0) else x - _like(loc, x)
        return (x if _is(scale, 1) else x / self._held("scale", scale)), valid

    def _valid(self, x: Tensor, shapes: Mapping[str, Any]) -> list[Any]:
        """The shapes, as tensors."""
        return [self._held(name, _like(shapes[name], x)) for name in self._shapes]


def _like(value: Any, x: Tensor) -> Tensor:
    """A parameter as a tensor; what is a number of Python's, or whole numbers, has the dtype of x."""
    value = tensor(value, x.graph, x.dtype) if _is_weak(value) else tensor(value, x.graph)
    return value if value.dtype.kind == "f" else astype(value, x.dtype)


def _shown(parameters: Iterable[inspect.Parameter]) -> str:
    return f"({', '.join(p.name if p.default is p.empty else f'{p.name}={p.default:g}' for p in parameters)})"


def _shapes(formula: Formula) -> list[str]:
    return list(inspect.signature(formula).parameters)[1:]


def _logarithm(part: Formula, rest: Formula) -> Formula:
    """The logarithm of a probability, by what it lacks of 1 where that is small."""

    def logarithm(z: Any, *shapes: Any) -> Tensor:
        p = part(z, *shapes)
        return where(p < 0.5, log(p), log1p(-rest(z, *shapes)))

    return logarithm


def _is(value: Any, number: float) -> bool:
    """Whether it is that number of Python's, so that nothing need be computed."""
    return _is_weak(value) and value == number


def _is_weak(value: Any) -> bool:
    """Whether it is a number of Python's."""
    return isinstance(value, (int, float)) and not isinstance(value, np.generic)


def _is_whole(value: Any) -> bool:
    """Whether it is whole numbers, or no numbers of a dtype."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        dtype = np.asarray(value).dtype if isinstance(value, (list, tuple, int, float)) else np.dtype(object)
    return getattr(dtype, "kind", "") in "iub"


class Continuous(Family):
    """A family of distributions on the line, moved by ``loc`` and stretched by ``scale``."""

    logpdf: Callable[..., Tensor]
    pdf: Callable[..., Tensor]
    cdf: Callable[..., Tensor]
    sf: Callable[..., Tensor]
    logcdf: Callable[..., Tensor]
    logsf: Callable[..., Tensor]
    ppf: Callable[..., Tensor]
    isf: Callable[..., Tensor]

    def __init__(
        self,
        name: str,
        about: str,
        *,
        logpdf: Formula,
        cdf: Formula | None = None,
        sf: Formula | None = None,
        ppf: Formula | None = None,
        isf: Formula | None = None,
        logcdf: Formula | None = None,
        logsf: Formula | None = None,
        support: tuple[float, float] = (-inf, inf),
        inside: float = 0.0,
        closed: bool = True,
        domains: Mapping[str, Domain] = {},
    ) -> None:
        """The functions of the family.

        Args:
            name: under which it stands in ``lg.stats``.
            about: what it is, with the density of its standard form.
            logpdf, cdf, sf, ppf, isf, logcdf, logsf: formulas of the standard form, of a tensor and the shapes. Those
                of the logarithms are logarithms of the others, if they are not given. What is None the family has not.
            support: where the density is not 0.
            inside: a number of the support, at which formulas are asked in place of what lies outside.
            closed: whether the formulas hold at the lower end of the support; if not, the density is 0 there.
            domains: of the shapes that are not just positive.
        """
        super().__init__(name, about, _shapes(logpdf), domains)
        self._support, self._inside, self._closed = support, inside, closed
        if cdf and sf:
            logcdf, logsf = logcdf or _logarithm(cdf, sf), logsf or _logarithm(sf, cdf)

        def density(x: Any, scale: Any, *shapes: Any) -> Tensor:
            y = self._inwards(x, logpdf, shapes, -inf, -inf)
            return y if _is(scale, 1) else y - (math.log(scale) if _is_weak(scale) else log(scale))

        self._place("logpdf", density)
        self._place("pdf", lambda z, *rest: exp(density(z, *rest)))
        for key, formula, ends in (
            ("cdf", cdf, (0.0, 1.0)),
            ("sf", sf, (1.0, 0.0)),
            ("logcdf", logcdf, (-inf, 0.0)),
            ("logsf", logsf, (0.0, -inf)),
        ):
            if formula:
                self._place(key, lambda z, scale, *shapes, f=formula, ends=ends: self._inwards(z, f, shapes, *ends))
        if ppf and isf:
            self._quantile("ppf", "p", ppf)
            self._quantile("isf", "q", isf)

    def _inwards(self, z: Tensor, formula: Formula, shapes: tuple[Any, ...], below: float, above: float) -> Tensor:
        """The formula inside of the support, and what is said outside of it."""
        low, high = self._support
        if low == -inf and high == inf:
            return cast(Tensor, formula(z, *shapes))
        under = z < low if self._closed else z <= low
        over = z > high if high < inf else equal(z, inf)
        y = formula(where(logical_or(under, over), self._inside, z), *shapes)
        return where(under, below, where(over, above, y))

    def _place(self, key: str, formula: Formula) -> None:
        """A function of a place x."""

        def function(x: Any, loc: Any, scale: Any, **shapes: Any) -> Tensor:
            z, valid = self._parameters(x, loc, scale, shapes)
            return cast(Tensor, formula(z, self._held("scale", scale), *valid))

        self._add(key, function, self._signature("x"))

    def _quantile(self, key: str, name: str, formula: Formula) -> None:
        """A function of a probability."""

        def function(loc: Any, scale: Any, **given: Any) -> Tensor:
            p = tensors(given.pop(name), *[v for v in (loc, scale, *given.values()) if isinstance(v, Tensor)])[0]
            valid = self._valid(p, given)
            outside = logical_or(p < 0, p > 1)
            z = where(outside, np.nan, formula(where(outside, 0.5, p), *valid))
            z = z if _is(scale, 1) else z * self._held("scale", scale)
            return z if _is(loc, 0) else z + loc

        self._add(key, function, self._signature(name))

    def _signature(self, first: str) -> list[tuple[str, Any]]:
        empty = inspect.Parameter.empty
        return [(first, empty), *((shape, empty) for shape in self._shapes), ("loc", 0.0), ("scale", 1.0)]


class Discrete(Family):
    """A family of distributions on whole numbers, moved by ``loc``. Counts take the dtype of the parameters."""

    logpmf: Callable[..., Tensor]
    pmf: Callable[..., Tensor]
    cdf: Callable[..., Tensor]
    sf: Callable[..., Tensor]
    logcdf: Callable[..., Tensor]
    logsf: Callable[..., Tensor]

    def __init__(
        self,
        name: str,
        about: str,
        *,
        logpmf: Formula,
        cdf: Formula | None = None,
        sf: Formula | None = None,
        logcdf: Formula | None = None,
        logsf: Formula | None = None,
        least: float = 0.0,
        most: Formula | None = None,
        domains: Mapping[str, Domain] = {},
    ) -> None:
        """The functions of the family, as of :class:`Continuous`.

        Args:
            name, about, domains: as there.
            logpmf, cdf, sf, logcdf, logsf: formulas of a whole number and the shapes.
            least: the smallest number that is possible.
            most: the largest one, of the shapes; None if there is none.
        """
        super().__init__(name, about, _shapes(logpmf), domains)
        self._counts = True
        self._least, self._most = least, most
        if cdf and sf:
            logcdf, logsf = logcdf or _logarithm(cdf, sf), logsf or _logarithm(sf, cdf)

        def mass(k: Tensor, *shapes: Any) -> Tensor:
            broken = logical_and(not_equal(floor(k), k), logical_not(isnan(k)))
            outside = logical_or(broken, logical_or(k < least, k > most(*shapes)) if most else k < least)
            return where(outside, -inf, logpmf(where(outside, least, k), *shapes))

        self._count("logpmf", mass)
        self._count("pmf", lambda k, *shapes: exp(mass(k, *shapes)))
        for key, formula, ends in (
            ("cdf", cdf, (0.0, 1.0)),
            ("sf", sf, (1.0, 0.0)),
            ("logcdf", logcdf, (-inf, 0.0)),
            ("logsf", logsf, (0.0, -inf)),
        ):
            if formula:
                self._count(key, lambda k, *shapes, f=formula, ends=ends: self._inwards(floor(k), f, shapes, *ends))

    def _inwards(self, k: Tensor, formula: Formula, shapes: tuple[Any, ...], below: float, above: float) -> Tensor:
        under = k < self._least
        if self._most is None:
            return where(under, below, formula(where(under, self._least, k), *shapes))
        over = k >= self._most(*shapes)
        y = formula(where(logical_or(under, over), self._least, k), *shapes)
        return where(under, below, where(over, above, y))

    def _count(self, key: str, formula: Formula) -> None:
        def function(k: Any, loc: Any, **shapes: Any) -> Tensor:
            k, valid = self._parameters(k, loc, 1, shapes)
            return cast(Tensor, formula(k, *valid))

        empty = inspect.Parameter.empty
        self._add(key, function, [("k", empty), *((shape, empty) for shape in self._shapes), ("loc", 0.0)])


class Several(Family):
    """A family of distributions of several numbers at once, which lie along the last axis."""

    def __init__(self, name: str, about: str, **functions: Callable[..., Tensor]) -> None:
        """The functions of the family.

        Args:
            name, about: as of :class:`Continuous`.
            functions: ``logpdf`` or ``logpmf``; its exponential is ``pdf`` or ``pmf``.
        """
        super().__init__(name, about)
        for key, logarithm in functions.items():
            self._pair(key, logarithm)

    def _pair(self, key: str, logarithm: Callable[..., Tensor]) -> None:
        def itself(*args: Any, **settings: Any) -> Tensor:
            return logarithm(*args, **settings)

        def power(*args: Any, **settings: Any) -> Tensor:
            return exp(logarithm(*args, **settings))

        for name, function in ((key, itself), (key.removeprefix("log"), power)):
            about = f"{WORDS[name]}\n\n{inspect.getdoc(logarithm)}"
            setattr(self, name, self._named(name, function, inspect.signature(logarithm), about))
            self._functions.append(name)
