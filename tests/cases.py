"""The table of ops: one row a primitive and a public function, from which their tests follow.

A row says how to call the op on tensors, what NumPy or SciPy answers on arrays, from which numbers samples
are drawn, and how far the derivatives are checked, see ``rows.py``. To add an op, add a row to one of the lists;
everything else in ``tests/test_ops.py`` follows by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rows_arrays import GRADIENTS, INDEXING, MOVEMENT, PRODUCTS, RUNNING, SORTING, SOURCES
from rows_elementwise import ELEMENTWISE, REDUCTIONS
from rows_linalg import LINALG
from rows_loops import LOOPS
from rows_nn import NN
from rows_numpy import NUMPYS
from rows_shapes import SHAPES
from rows_slopes import SLOPES
from rows_special import SPECIAL

from lazygrad.graph.graph import current_graph
from lazygrad.ops.random import Random

CASES = [
    *ELEMENTWISE,
    *REDUCTIONS,
    *MOVEMENT,
    *INDEXING,
    *RUNNING,
    *SORTING,
    *PRODUCTS,
    *SOURCES,
    *GRADIENTS,
    *LOOPS,
    *LINALG,
    *NN,
    *SLOPES,
    *SPECIAL,
    *NUMPYS,
    *SHAPES,
]

# Draws have fresh numbers at every run, so their rows have no reference.
DRAWS: dict[str, Callable[[Random], Any]] = {
    "uniform": lambda random: random.uniform((3, 4)),
    "normal": lambda random: random.normal((3, 4)),
    "log_normal": lambda random: random.log_normal((3, 4)),
    "exponential": lambda random: random.exponential((3, 4)),
    "gamma": lambda random: random.gamma((3, 4), 2.0),
    "bernoulli": lambda random: random.bernoulli((3, 4)),
    "integers": lambda random: random.integers((3, 4), 0, 9),
    "integers of a wide range": lambda random: random.integers((3, 4), 0, 2**40),
    "permutation": lambda random: random.permutation(12),
    "beta": lambda random: random.beta((3, 4), 2.0, 0.5),
    "dirichlet": lambda random: random.dirichlet((3,), [0.5, 1.0, 2.0]),
    "poisson": lambda random: random.poisson((3, 4), 2.0),
    "categorical": lambda random: random.categorical((3, 4), [0.5, 0.2, 0.3]),
    "choice": lambda random: random.choice((3, 4), 5),
}


def drawn(name: str) -> Any:
    """The draw ``name`` in the graph being written."""
    return DRAWS[name](Random(current_graph("draw")))


# What is public or primitive and has no row, and why.
EXEMPT = {
    "assign": "writes a variable: tests/test_random_programs.py",
    "variable": "reads a variable: tests/test_random_programs.py",
    "word": "makes one element of words, in native code: tests/test_philox.py",
    "turned_word": "makes one element of turned, in native code: tests/test_philox.py",
    **dict.fromkeys(
        (
            "logistic_seed",
            "logistic_of_seed",
            "logistic_slope_of_seed",
            "tanh_seed",
            "tanh_of_seed",
            "tanh_slope_of_seed",
        ),
        "written by a pass alone: tests/test_rewrite_rules.py",
    ),
    "nn.gumbel_softmax": "is a draw: tests/nn/test_piecewise.py",
    **dict.fromkeys(
        ("halved", "packed", "unpacked", "later"), "written by passes alone: tests/test_mixed_precision.py"
    ),
    **dict.fromkeys(
        ("replicated", "total", "begins", "waits", "own_part", "whole_of"), "of several workers: tests/workers"
    ),
    **dict.fromkeys(("word_from", "words_from"), "draw the words of some rows, for a pass alone: tests/workers"),
    **dict.fromkeys(
        ("in_window", "of_windows", "or_nothing"),
        "say where windows lie, on a GPU: tests/gpu/test_windows_on_a_device.py",
    ),
    "apart": "tells apart what the derivative of a solution depends on: tests/test_implicit.py",
    "group": "joins update ops, computes nothing",
    "ravel": "gives a function too: tests/ops/test_array_functions.py",
    **dict.fromkeys(
        ("broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"),
        "of dtypes and shapes: tests/test_array_api.py",
    ),
}
