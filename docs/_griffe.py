"""Shows what a user calls, as it is called: no internals, no kernels, and docstrings as Markdown."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import griffe

KINDS = {f"lazygrad.define.{kind}" for kind in ("elementwise", "reduction", "movement", "opaque", "source")}
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")
# What users write without naming it: calls, indices, sizes. All else between underscores is Python's business.
OPERATORS = {"__init__", "__call__", "__getitem__", "__setitem__", "__len__", "__iter__", "__contains__"}
KEPT = {
    "Array",
    "DtypeRule",
    "TensorLike",
}  # aliases of types that pages explain; all others are shown as what they stand for
# Methods of public classes that other rooms of lazygrad call, and users do not.
INNER = {
    "Context": {"asked", "call", "evaluated_with", "fetch", "showing"},
    "Graph": {"apply", "check_open", "close", "describe", "replay", "tensor"},
    "Plan": {"check", "misdeclared", "origin", "spec", "specs"},
    "Rates": {"key", "of"},
}


class Public(griffe.Extension):
    """Hides what is not public, and rewrites the signature of every function that a decorator makes an op."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Say of every module which of its members are public, and of every class."""
        for name in [name for name, member in pkg.members.items() if member.is_alias]:  # what public.py has
            del pkg.members[name]  # or `bool` in an annotation would be taken for lazygrad.bool
        doors = [pkg[name] for name in ("public", "sklearn") if name in pkg.members] or [pkg]
        shown = set().union(*map(exported, doors))
        for module in modules(pkg):
            members = [member for member in module.members.values() if not member.is_alias]
            functions = [member for member in members if member.is_function]
            classes = [member for member in members if member.is_class]
            methods = [method for found in classes for method in found.functions.values() if not method.is_alias]
            for function in (*functions, *methods):
                function.returns = spelled(pkg, function.returns)
                for parameter in function.parameters:
                    parameter.annotation = spelled(pkg, parameter.annotation)
            returned = {str(function.returns) for function in functions if function.path in shown}
            for member in functions:
                member.public = member.path in shown
            for member in classes:
                member.public = member.path in shown or member.name in returned
                self.trim(member, shown)

    def trim(self, found: griffe.Class, shown: set[str]) -> None:
        """Hide the inner methods of a class, and those that only carry out what a base promises."""
        bases = [base for base in found.mro() if base.path.startswith("lazygrad.")]
        promised = {name for base in bases if base.path in shown for name in base.members} - {"__init__"}
        for name, member in found.members.items():
            special = name.startswith("__") and name not in OPERATORS
            if special or name in promised or name in INNER.get(found.name, ()):
                member.public = False

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Drop ``xp`` or ``rng`` of an op; operands and result are what the caller sees, not arrays."""
        if not any(decorator.callable_path in KINDS for decorator in func.decorators):
            return
        first, *rest = func.parameters
        assert first.name in ("xp", "rng")
        for parameter in rest:
            if str(parameter.annotation) == "Array":
                parameter.annotation = "TensorLike"
        func.parameters = griffe.Parameters(*rest)
        func.returns = griffe.ExprName("Tensor", parent=func.parent)
        func.decorators = []

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Sphinx's roles become code, and its ``::`` before a block a plain colon."""
        if obj.docstring is not None:
            value = ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = re.sub(r"::(?=\n\n +)", ":", value)


def spelled(pkg: griffe.Module, annotation: Any) -> Any:
    """An annotation, its aliases of types spelled out."""
    if isinstance(annotation, griffe.ExprName):
        _, _, path = annotation.canonical_path.partition("lazygrad.")
        meant = pkg[path] if path and annotation.name not in KEPT else None
        is_alias = meant is not None and meant.is_attribute and meant.value is not None
        return str(meant.value).strip("\"'") if is_alias else annotation
    if isinstance(annotation, griffe.Expr):
        for field in dataclasses.fields(annotation):
            value = getattr(annotation, field.name)
            if isinstance(value, list):
                setattr(annotation, field.name, [spelled(pkg, one) for one in value])
            elif isinstance(value, griffe.Expr):
                setattr(annotation, field.name, spelled(pkg, value))
    return annotation


def exported(module: griffe.Module) -> set[str]:
    """The classes and functions that a module exports, and the modules that it exports, by where they are written."""
    found: set[str] = set()
    for name in module.exports or public(module):
        value = module.members[str(name)]
        try:
            value = value.final_target if value.is_alias else value
        except griffe.AliasResolutionError:  # another library's, such as a dtype of NumPy
            continue
        if value.is_module and str(name) in value.members:  # a function in a module of its name
            value = value.members[str(name)]
        found |= exported(value) if value.is_module else {value.path}
    return found


def public(module: griffe.Module) -> list[str]:
    """The names of a module that lists none: all that it imports."""
    return [name for name in module.imports if name in module.members and not name.startswith("_")]


def modules(module: griffe.Module) -> list[griffe.Module]:
    """A module, and all below it."""
    below = [member for member in module.modules.values() if not member.is_alias]
    return [module, *(found for one in below for found in modules(one))]
