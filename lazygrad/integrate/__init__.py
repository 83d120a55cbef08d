"""Solutions of ordinary differential equations, as loops of the graph: ``lg.integrate``."""

from lazygrad.integrate.adaptive import odeint as odeint
from lazygrad.integrate.fixed import rk4 as rk4
from lazygrad.names import publish as _publish

_publish(__name__, "lg.integrate")
