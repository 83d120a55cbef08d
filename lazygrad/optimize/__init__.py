"""Minima, fits and roots over variables of an environment, by SciPy with derivatives of the graph: ``lg.optimize``."""

import sys
from typing import TYPE_CHECKING

from lazygrad.names import lister, public, refuser
from lazygrad.optimize.curve import Curve
from lazygrad.optimize.curve_fit import curve_fit
from lazygrad.optimize.least_squares import least_squares
from lazygrad.optimize.minimize import minimize
from lazygrad.optimize.root import root

__all__ = ["Curve", "curve_fit", "least_squares", "minimize", "root"]

public["lg.optimize"] = sys.modules[__name__]
__dir__ = lister(__all__)
if not TYPE_CHECKING:  # type checkers know what there is
    __getattr__ = refuser("lg.optimize")
