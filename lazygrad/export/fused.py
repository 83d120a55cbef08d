"""Products and sums with one rounding, for machines that have none and no library of C: text of LLVM.

In float32 they are computed in float64, which holds the product exactly: the sum is then rounded twice, which differs
only if it lies within 2⁻²⁹ of the middle of two neighbours. In float64 the product is split into two numbers that are
exact together (T. J. Dekker, "A floating-point technique for extending the available precision", Numerische
Mathematik 18, 1971), and so is the sum of the first with the third operand (D. E. Knuth, TAOCP 2, 4.2.2). What remains
of both is added last. So an error of a product, ``fma(a, b, -(a * b))``, is exact in both.
"""

from __future__ import annotations

import re

__all__ = ["without_fused"]

_NAME = re.compile(r"@llvm\.fma\.(v(\d+))?f(32|64)\b")


def without_fused(text: str) -> str:
    """A module whose calls of ``llvm.fma`` are calls of functions of its own."""
    found = {match.group(): match for match in _NAME.finditer(text)}
    lines = [line for line in text.splitlines() if not (line.startswith("declare") and _NAME.search(line))]
    text = _NAME.sub(lambda match: f"@fused.{match.group(1) or ''}f{match.group(3)}", "\n".join(lines))
    return "\n".join([text, *[_function(match) for _, match in sorted(found.items())], ""])


def _function(match: re.Match[str]) -> str:
    count, bits = match.group(2), match.group(3)
    name = f"@fused.{match.group(1) or ''}f{bits}"

    def of(kind: str) -> str:
        return f"<{count} x {kind}>" if count else kind

    def number(value: str, kind: str = "double") -> str:
        return f"splat ({kind} {value})" if count else value

    kind = of("float" if bits == "32" else "double")
    head = f"define internal {kind} {name}({kind} %a, {kind} %b, {kind} %c) alwaysinline {{"
    body = _SINGLE if bits == "32" else _DOUBLE
    body = body.replace("WIDE", of("double")).replace("NARROW", kind).replace("BOOLS", of("i1"))
    body = body.replace("SPLIT", number("134217729.0")).replace("ZERO", number("0.0"))
    return f"{head}\n{body}}}"


_SINGLE = """
  %x = fpext NARROW %a to WIDE
  %y = fpext NARROW %b to WIDE
  %z = fpext NARROW %c to WIDE
  %product = fmul WIDE %x, %y
  %sum = fadd WIDE %product, %z
  %rounded = fptrunc WIDE %sum to NARROW
  ret NARROW %rounded
"""

# What is infinite, or too large to be split, has no rest.
_DOUBLE = """
  %p = fmul WIDE %a, %b
  %sa = fmul WIDE %a, SPLIT
  %da = fsub WIDE %sa, %a
  %ah = fsub WIDE %sa, %da
  %al = fsub WIDE %a, %ah
  %sb = fmul WIDE %b, SPLIT
  %db = fsub WIDE %sb, %b
  %bh = fsub WIDE %sb, %db
  %bl = fsub WIDE %b, %bh
  %hh = fmul WIDE %ah, %bh
  %hl = fmul WIDE %ah, %bl
  %lh = fmul WIDE %al, %bh
  %ll = fmul WIDE %al, %bl
  %e1 = fsub WIDE %hh, %p
  %e2 = fadd WIDE %e1, %hl
  %e3 = fadd WIDE %e2, %lh
  %e4 = fadd WIDE %e3, %ll
  %s = fadd WIDE %p, %c
  %v = fsub WIDE %s, %p
  %u = fsub WIDE %s, %v
  %r1 = fsub WIDE %p, %u
  %r2 = fsub WIDE %c, %v
  %r3 = fadd WIDE %r1, %r2
  %rest = fadd WIDE %r3, %e4
  %difference = fsub WIDE %rest, %rest
  %finite = fcmp oeq WIDE %difference, ZERO
  %kept = select BOOLS %finite, WIDE %rest, WIDE ZERO
  %sum = fadd WIDE %s, %kept
  ret NARROW %sum
"""
