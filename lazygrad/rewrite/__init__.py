"""Passes and their rules, each pass from a graph to an equal graph. The rules register when they are imported."""

from __future__ import annotations

from lazygrad.rewrite import (
    arithmetic,
    corners,
    exponentials,
    factored,
    folding,
    movement,
    placing,
    sharing,
    stable,
    strong,
)
from lazygrad.rewrite.halving import halved
from lazygrad.rewrite.passes import absorb, fold, merge, optimized, prune, share, simplify, stabilise, verify
from lazygrad.rewrite.rules import RULES, Rule, rule

__all__ = [
    "RULES",
    "Rule",
    "absorb",
    "arithmetic",
    "corners",
    "exponentials",
    "factored",
    "fold",
    "folding",
    "halved",
    "merge",
    "movement",
    "placing",
    "optimized",
    "prune",
    "rule",
    "share",
    "sharing",
    "simplify",
    "stabilise",
    "stable",
    "strong",
    "verify",
]
