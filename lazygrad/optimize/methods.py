"""SciPy's methods of minimization, and what each of them takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lazygrad.errors import DataError, nearest, report
from lazygrad.graph.registry import here

__all__ = ["METHODS", "Method", "method_of"]


class Method(NamedTuple):
    """A method by the name that SciPy gives it, or a function in the place of one."""

    name: str | Callable[..., Any]
    gradient: bool = True
    hessian: str = ""  # "product": with a vector, "matrix": in full, "": none
    bounds: bool = False
    constraints: bool = False


METHODS = (
    Method("Nelder-Mead", gradient=False, bounds=True),
    Method("Powell", gradient=False, bounds=True),
    Method("CG"),
    Method("BFGS"),
    Method("Newton-CG", hessian="product"),
    Method("L-BFGS-B", bounds=True),
    Method("TNC", bounds=True),
    Method("COBYLA", gradient=False, bounds=True, constraints=True),
    Method("COBYQA", gradient=False, bounds=True, constraints=True),
    Method("SLSQP", bounds=True, constraints=True),
    Method("trust-constr", hessian="product", bounds=True, constraints=True),
    Method("dogleg", hessian="matrix"),
    Method("trust-ncg", hessian="product"),
    Method("trust-exact", hessian="matrix"),
    Method("trust-krylov", hessian="product"),
)
_BY_NAME = {str(m.name).lower(): m for m in METHODS}


def method_of(method: Any, bounds: bool, constraints: bool) -> Method:
    """The method of that name, if it takes what is given.

    Raises:
        DataError: there is none, or it takes no bounds or constraints and there are some.
    """
    if method is None:
        method = "SLSQP" if constraints else "L-BFGS-B" if bounds else "BFGS"
    if callable(method):
        return Method(method, hessian="product", bounds=True, constraints=True)
    found = _BY_NAME.get(method.lower()) if isinstance(method, str) else None
    if found is None:
        cure = nearest(str(method), [str(m.name) for m in METHODS])
        raise DataError(report(f"there is no method {method!r:.60}", at=here(), cure=cure))
    for what, given in (("constraints", constraints), ("bounds", bounds)):
        if given and not getattr(found, what):
            able = ", ".join(repr(m.name) for m in METHODS if getattr(m, what))
            cure = f"These take {what}: {able}."
            raise DataError(report(f"method {found.name!r} takes no {what}", at=here(), cure=cure))
    return found
