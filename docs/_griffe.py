"""Shows a declared op as it is called, and docstrings as Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

KINDS = {f"lazygrad.define.{kind}" for kind in ("elementwise", "reduction", "movement", "opaque", "source")}
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")


class Kernels(griffe.Extension):
    """Rewrites the signature of every function that a decorator of :mod:`lazygrad.define` makes an op."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Drop ``xp`` or ``rng``; operands and result are what the caller sees, not arrays."""
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
