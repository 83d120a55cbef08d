"""The ways in which a node can be computed natively."""

from __future__ import annotations

import enum

__all__ = ["Way"]


class Way(enum.StrEnum):
    """How a node exists in native code."""

    LEAF = "leaf"
    """It lies in memory before the step begins: a variable, an input, an array that is the same in every run."""
    NUMBER = "number"
    """It is the same number everywhere, and stands in the code."""
    LAZY = "lazy"
    """Its elements can be computed where they are wanted: it is elementwise, a view, or taken by indices."""
    FOLD = "fold"
    """A loop combines elements of its operand along axes."""
    SCATTER = "scatter"
    """A loop adds rows of an operand to the rows that indices name."""
    PUT = "put"
    """Elements are added, or written, where indices name them, by a kernel of its own."""
    COPIES = "copies"
    """Its operands are copied to where they go, and the rest is zero."""
    PRODUCT = "product"
    """A product of matrices of floats, which has a kernel of its own."""
    LAPACK = "lapack"
    """A function of LAPACK is called for every matrix of a batch; it may have several results."""
    ORDER = "order"
    """Rows are sorted or added up as they go, or places are looked for among edges, by a kernel of its own."""
    REPEAT = "repeat"
    """A region: its bodies have tables of their own, which are run as often as there are turns."""
    RESULT = "result"
    """One of several results of a region or of a call of LAPACK, which lies in memory."""
    SMALL = "small"
    """Linear algebra of small matrices, written out: a row of a kernel is a matrix of the batch."""
    SEVERAL = "several"
    """Several results of such, each of which is a node of its own."""
    CALLBACK = "callback"
    """It has no native form: the op's kernel is called with NumPy."""
