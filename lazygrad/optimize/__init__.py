"""Minima, fits and roots over variables of an environment, by SciPy with derivatives of the graph: ``lg.optimize``."""

from lazygrad.names import publish as _publish
from lazygrad.optimize.curve import Curve as Curve
from lazygrad.optimize.curve_fit import curve_fit as curve_fit
from lazygrad.optimize.least_squares import least_squares as least_squares
from lazygrad.optimize.minimize import minimize as minimize
from lazygrad.optimize.root import root as root

_publish(__name__, "lg.optimize")
