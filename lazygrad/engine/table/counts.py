"""What a run of a table costs a machine, counted: launches, products, calls, bytes and operations."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from lazygrad.define.kinds import item
from lazygrad.engine.emit.totals import Partial
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.table.native import Instruction, Native, NumpyCall, Repeat
from lazygrad.engine.table.rows import row_of

__all__ = ["Counts", "counted"]


class Counts(NamedTuple):
    """The costs of a run; of a loop that may make any number of turns, of one.

    Attributes:
        launches: of kernels, several of which may be launched together.
        products: of matrices, for which a library is called.
        calls: back to the ops' own kernels, by op.
        nbytes: that all of them read and write, each element once a kernel.
        operations: on single elements; two for each multiplication of a product.
    """

    launches: int
    products: int
    calls: Counter[str]
    nbytes: int
    operations: int

    def __str__(self) -> str:
        calls = ", ".join(f"{count} {op}" for op, count in self.calls.items())
        return (
            f"{self.launches} launches, {self.products} products, {self.calls.total()} calls back"
            f"{f' ({calls})' if calls else ''}; {self.nbytes:,} bytes are read and written, {self.operations:,} "
            "operations are done"
        )


def counted(native: Native) -> Counts:
    """What a run costs."""
    together = sum(bundle.size - 1 for bundle in native.bundles)
    launches, products, calls = -together, 0, Counter[str]()
    nbytes = sum(2 * buffer.spec.nbytes for key, buffer in native.buffers.items() if isinstance(key, Partial))
    operations = 0
    repeats = {step.entry for step in native.program if isinstance(step, Repeat)}
    for number, entry in enumerate(native.entries):
        if number not in repeats:
            _, _, read, wrote, done = row_of(native, entry)
            nbytes += read + wrote
            operations += done
    for step in native.program:
        if isinstance(step, Instruction):
            launches += 1
        elif isinstance(step, NumpyCall):
            op = native.ways.nodes[step.node].op
            products += native.ways.way[step.node] is Way.PRODUCT
            calls[op.name] += op is not item and native.ways.way[step.node] is not Way.PRODUCT
        else:
            loop = step.loop
            turns = loop.turns if step.condition is None and loop.turns is not None else 1
            bodies = step.uses if len(step.bodies) == 1 else step.uses[:1]  # of two, one is run
            for one in [counted(use.native) for use in bodies]:
                launches += turns * one.launches
                products += turns * one.products
                nbytes += turns * one.nbytes
                operations += turns * one.operations
                calls.update({name: turns * many for name, many in one.calls.items()})
    return Counts(launches, products, +calls, nbytes, operations)
