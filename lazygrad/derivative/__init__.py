"""Derivatives of graphs: reverse and forward, Jacobians, solutions defined by an equation."""
