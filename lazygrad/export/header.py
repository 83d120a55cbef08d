"""The header of an exported function: its declaration, and what a caller must know."""

from __future__ import annotations

from lazygrad.export.signature import Parameter, Signature, c_type

__all__ = ["header"]

_TEXT = """\
/* {name}: a step exported by lazygrad {version} for {target}.

{arrays}

   Arrays lie in row-major order, aligned as their type wants it; what is written overlaps nothing that is read.
{draws}{weights}   workspace: {name}_workspace_size() bytes, of any alignment and content, which one call at a time
   uses. Calls with workspaces of their own may run at the same time, in any number of threads.
   Returns 0; or 1 if it fails, as the step would: an index is out of range, or a loop takes more turns than it may.
   What was written means nothing then.
   {name}_spec() is all of this as JSON.{link} */

#ifndef {guard}
#define {guard}

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_WORKSPACE_SIZE {workspace}
{sizes}

int {name}({parameters});
size_t {name}_workspace_size(void);
{more}const char *{name}_spec(void);

#ifdef __cplusplus
}}
#endif

#endif
"""
_DRAWS = """\
   stream: the key of the random numbers (that of the exported environment is {upper}_KEY), and the number of the run:
   the same two give the same numbers.
"""
_WEIGHTS = """\
   weights: the {nbytes} bytes of the file {name}.weights, at an address that 64 divides.
"""


def header(signature: Signature, target: str, version: str, word: int, link: str = "") -> str:
    """The text of the header.

    Args:
        signature: what is declared.
        target: what the code is for, in a word.
        version: of lazygrad.
        word: what random numbers are made of.
        link: what the program must be linked with.
    """
    name, upper, inputs, outputs = signature.name, signature.name.upper(), signature.inputs, signature.outputs
    arrays = [_line(one, "in") for one in inputs] + [_line(one, "out") for one in outputs]
    parameters = [f"const {c_type(one.spec.dtype)} *{one.name}" for one in inputs]
    parameters += [f"{c_type(one.spec.dtype)} *{one.name}" for one in outputs]
    sizes = [f"#define {upper}_{one.name.upper()}_SIZE {one.spec.size}" for one in (*inputs, *outputs)]
    if signature.draws:
        parameters.append("const uint64_t *stream")
        sizes.append(f"#define {upper}_KEY UINT64_C({word})")
    if signature.weights is not None:
        parameters.append("const void *weights")
        sizes.append(f"#define {upper}_WEIGHTS_SIZE {signature.weights}")
    return _TEXT.format(
        name=name,
        version=version,
        target=target,
        arrays="\n".join(arrays),
        draws=_DRAWS.format(upper=upper) if signature.draws else "",
        weights="" if signature.weights is None else _WEIGHTS.format(nbytes=signature.weights, name=name),
        link=f"\n   Link with {link}." if link else "",
        guard=f"{upper}_H",
        upper=upper,
        workspace=signature.workspace,
        sizes="\n".join(sizes),
        parameters=", ".join([*parameters, "void *workspace"]),
        more="" if signature.weights is None else f"size_t {name}_weights_size(void);\n",
    )


def _line(one: Parameter, way: str) -> str:
    shape = " x ".join(map(str, one.spec.shape)) or "a single number"
    said = (
        "" if one.said == one.name else f", {one.said!r} in the step".replace("*/", "* /").replace("/*", "/ *")
    )  # a comment goes on
    return f"   {way:<4} {one.name}: {one.spec.dtype}, {shape}{said}"
