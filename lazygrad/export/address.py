"""A step as a function in this process that native code calls: of SciPy, of samplers, of Numba."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.cpu.addresses import addresses
from lazygrad.engine.cpu.compiler import compiled
from lazygrad.engine.cpu.llvm import Code as Loaded
from lazygrad.engine.cpu.llvm import Unavailable, load
from lazygrad.engine.emit.lapack import PREFIX
from lazygrad.errors import BackendError, ExportError, nearest, report
from lazygrad.export.code import Code, coded
from lazygrad.export.source import Source
from lazygrad.export.targets import machine_of
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec

__all__ = ["Address", "address"]

_STACK = 1 << 16  # bytes of workspace up to which it lies on the stack
_NAME = "step"
_DOUBLE = np.dtype(np.float64)
_LONGS = ctypes.POINTER(ctypes.c_double)


class Address(int):
    """Where a function begins. The code stays in memory as long as this does, or ``function``.

    Attributes:
        declaration: of the function, in C.
        function: the same for ``ctypes``, which SciPy's ``LowLevelCallable`` takes.
    """

    declaration: str
    function: Any
    _code: Loaded

    def __copy__(self) -> Address:
        return self

    def __deepcopy__(self, memo: Any) -> Address:
        return self

    def __reduce__(self) -> Any:
        cure = "Pickle the compiled step, and ask it for an address there."
        raise TypeError(report("cannot pickle an address: it is one of this process alone", cure=cure))

    def __repr__(self) -> str:
        return f"<{self.declaration} at {int(self):#x}>"


class _Form(NamedTuple):
    """A function around the exported one.

    Attributes:
        declaration: in C.
        type: for ``ctypes``.
        text: in LLVM's language.
    """

    declaration: str
    type: Any
    text: str


def address(source: Source, form: str = "arrays") -> Address:
    """The step as a function of C; the arguments are those of :meth:`lazygrad.Compiled.address`.

    Raises:
        ExportError: something in the step has no native form, or it does not fit the form.
        BackendError: there is no compiler.
    """
    if not isinstance(form, str) or form not in _FORMS:
        raise ExportError(report(f"there is no form {form!r} of a function", at=here(), cure=nearest(form, _FORMS)))
    try:
        lapack = addresses()
        code = coded(source, machine_of("host"), _NAME, lapack=bool(lapack))
        wrapped = _FORMS[form](code, source.name)
        code = replace(code, text=code.text + wrapped.text)
        symbols = {f"{name[len(PREFIX) :]}_": at for name, at in lapack.items()}
        needed = {name: at for name, at in symbols.items() if f"@{name}(" in code.text}
        found = load(code.object_code(compiled), ["called"], needed)
    except Unavailable as reason:
        cure = "pip install llvmlite makes native code of it."
        raise BackendError(report("cannot make a function", at=here(), facts=[str(reason)], cure=cure)) from reason
    made = Address(found.addresses["called"])
    made.declaration, made.function, made._code = wrapped.declaration, wrapped.type(int(made)), found
    made.function.code = found  # who keeps the function alone keeps the code
    return made


def _call(code: Code, pointers: list[str]) -> str:
    """Text that gives the function memory of its own, and calls it; ``%status`` is what it returns."""
    size = code.signature.workspace
    if size <= _STACK:
        take, give = f"%workspace = alloca [{size} x i8], align 64", ""
    else:
        take, give = f"%workspace = call ptr @malloc(i64 {size})", "call void @free(ptr %workspace)"
    listed = ", ".join(f"ptr {one}" for one in [*pointers, "%workspace"])
    return f"  {take}\n  %status = call i32 @{_NAME}({listed})\n  {give}\n"


_MEMORY = "declare ptr @malloc(i64)\ndeclare void @free(ptr)\n"


def _arrays(code: Code, step: str) -> _Form:
    """A pointer for every array, as in the exported header, but no workspace."""
    names = code.signature.pointers[:-1]
    listed = ", ".join(f"ptr {name}" for name in names)
    text = f"define i32 @called({listed}) nounwind {{\n{_call(code, names)}  ret i32 %status\n}}\n"
    said = ", ".join(f"void *{name}" for name in code.signature.parameters[:-1])
    return _Form(f"int {step}({said})", ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * len(names)), text + _MEMORY)


def _scipy(code: Code, step: str) -> _Form:
    """``double f(int n, double *x)``: the inputs are the numbers one after the other."""
    signature = code.signature
    inputs, outputs = [one.spec for one in signature.inputs], [one.spec for one in signature.outputs]
    fits = all(s.dtype == _DOUBLE for s in (*inputs, *outputs)) and len(outputs) == 1 and outputs[0].size == 1
    if not fits or signature.draws:
        raise _misfit("scipy", step, code, "It takes float64 numbers or arrays, and returns one float64 number.")
    sizes = [s.size for s in inputs]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    lines = [f"  %x{k} = getelementptr double, ptr %x, i64 {start}" for k, start in enumerate(starts)]
    call = _call(code, [*[f"%x{k}" for k in range(len(sizes))], "%value"])
    text = f"""
define double @called(i32 %n, ptr %x) nounwind {{
  %fits = icmp eq i32 %n, {sum(sizes)}
  br i1 %fits, label %go, label %wrong
go:
  %value = alloca double
{chr(10).join(lines)}
{call}  %good = icmp eq i32 %status, 0
  %found = load double, ptr %value
  %said = select i1 %good, double %found, double 0x7FF8000000000000
  ret double %said
wrong:
  ret double 0x7FF8000000000000
}}
"""
    kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, _LONGS)
    return _Form(f"double {step}(int n, double *x)", kind, text + _MEMORY)


def _logp(code: Code, step: str) -> _Form:
    """``int f(size_t n, const double *x, double *grad, double *value, void *data)``, as samplers want it."""
    signature = code.signature
    inputs, outputs = [one.spec for one in signature.inputs], [one.spec for one in signature.outputs]
    vector = Spec((inputs[0].size if inputs else 0,), _DOUBLE)
    if inputs != [vector] or outputs != [Spec((), _DOUBLE), vector] or signature.draws:
        what = "It takes one float64 vector x, and returns its logarithm and lg.grad of that for x."
        raise _misfit("logp", step, code, what)
    text = f"""
define i32 @called(i64 %n, ptr %x, ptr %grad, ptr %value, ptr %data) nounwind {{
  %fits = icmp eq i64 %n, {vector.size}
  br i1 %fits, label %go, label %wrong
go:
{_call(code, ["%x", "%value", "%grad"])}  ret i32 %status
wrong:
  ret i32 1
}}
"""
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_size_t, _LONGS, _LONGS, _LONGS, ctypes.c_void_p)
    said = f"int {step}(size_t n, const double *x, double *grad, double *value, void *data)"
    return _Form(said, kind, text + _MEMORY)


def _filter(code: Code, step: str) -> _Form:
    """``int f(double *x, intptr_t n, double *value, void *data)``, as ``scipy.ndimage.generic_filter`` wants it."""
    signature = code.signature
    inputs, outputs = [one.spec for one in signature.inputs], [one.spec for one in signature.outputs]
    fits = [s.dtype for s in (*inputs, *outputs)] == [_DOUBLE] * 2 and outputs[-1].size == 1
    if not fits or signature.draws:
        what = "It takes one float64 array, the numbers under the window, and returns one float64 number."
        raise _misfit("filter", step, code, what)
    text = f"""
define i32 @called(ptr %x, i64 %n, ptr %value, ptr %data) nounwind {{
  %fits = icmp eq i64 %n, {inputs[0].size}
  br i1 %fits, label %go, label %wrong
go:
{_call(code, ["%x", "%value"])}  %good = icmp eq i32 %status, 0
  %said = zext i1 %good to i32
  ret i32 %said
wrong:
  ret i32 0
}}
"""
    kind = ctypes.CFUNCTYPE(ctypes.c_int, _LONGS, ctypes.c_ssize_t, _LONGS, ctypes.c_void_p)
    return _Form(f"int {step}(double *x, intptr_t n, double *value, void *data)", kind, text + _MEMORY)


def _misfit(form: str, step: str, code: Code, cure: str) -> ExportError:
    facts = [f"in:   {one.spec}  {one.said}" for one in code.signature.inputs]
    facts += [f"out:  {one.spec}  {one.said}" for one in code.signature.outputs]
    what = f"cannot make a function of the form {form!r} of {step}"
    return ExportError(report(what, at=here(), facts=facts, cure=cure))


_FORMS = {"arrays": _arrays, "scipy": _scipy, "filter": _filter, "logp": _logp}
