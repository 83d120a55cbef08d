"""The facts of CuPy that its double goes by, read off the real wheel; no GPU is needed to read them.

``python tests/cupy_double/facts.py`` writes them anew into ``facts.json``, where CuPy is installed. The test that
compares the two says when that is due.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FILE", "read_facts", "stored_facts"]

FILE = Path(__file__).with_name("facts.json")
# The letters of NumPy's own dtypes. Beside the package ml_dtypes CuPy's ufuncs have loops of more (E is bfloat16),
# which the double has not: the facts are the same with and without that package.
LETTERS = set(np.typecodes["All"])


def parameters_of(function: Any) -> str | None:
    """The names of a function's parameters, ``*`` before those that are keywords; None if it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # compiled, without a signature
        return None
    words, keywords = [], False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not keywords:
            words.append("*")
        keywords = keywords or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        prefix = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        words.append(prefix + p.name + ("" if p.default is p.empty else "="))
    return ", ".join(words)


def read_facts(cupy: Any, special: Any) -> dict[str, Any]:
    """What the wheel has under names of NumPy: loops of ufuncs, parameters of functions, attributes of arrays."""

    def shared(module: Any, like: Any) -> list[str]:
        return sorted(n for n in dir(module) if not n.startswith("_") and callable(getattr(like, n, None)))

    def ufuncs(module: Any, names: Any) -> dict[str, str]:
        found = {name: getattr(module, name) for name in names}
        return {name: loops(f) for name, f in found.items() if isinstance(f, cupy.ufunc)}

    def loops(ufunc: Any) -> str:
        return " ".join(types for types in ufunc.types if set(types) <= LETTERS | {"-", ">"})

    def functions(module: Any, names: Any) -> dict[str, str | None]:
        found = {name: getattr(module, name) for name in names}
        return {
            name: parameters_of(f) for name, f in found.items() if callable(f) and not isinstance(f, (type, cupy.ufunc))
        }

    def members(kind: Any) -> list[str]:
        return sorted(name for name in dir(kind) if not name.startswith("_"))

    cuda = cupy.cuda
    linear = cupy._core._routines_linalg if hasattr(cupy._core, "_routines_linalg") else None
    public = [name for name in dir(special) if not name.startswith("_")]
    return {
        "version": cupy.__version__,
        "ufuncs": ufuncs(cupy, shared(cupy, np)),
        "functions": functions(cupy, shared(cupy, np)),
        "linalg": functions(cupy.linalg, shared(cupy.linalg, np.linalg)),
        "special": ufuncs(special, public),
        "array": members(cupy.ndarray),
        "cuda": {name: members(getattr(cuda, name)) for name in ("Stream", "Event", "Graph", "Device")},
        "modules": {
            "runtime": members(cuda.runtime),
            "driver": members(cuda.driver),
            "memory": members(cuda.memory),
            "pinned_memory": members(cuda.pinned_memory),
            "device": members(cuda.device),
        },
        "compute types": {
            name: getattr(linear, f"COMPUTE_TYPE_{name}") for name in ("DEFAULT", "PEDANTIC", "TF32") if linear
        },
    }


def stored_facts() -> dict[str, Any]:
    """The facts in the repository."""
    facts: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return facts


def main() -> None:
    """Write the facts of the CuPy that is installed."""
    import cupy
    import cupyx.scipy.special

    FILE.write_text(json.dumps(read_facts(cupy, cupyx.scipy.special), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
