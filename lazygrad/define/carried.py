"""Ops that users declare, in other processes: by name where one can be found by it, else with all that was declared.

A step in a notebook, or in the program that is run, has ops that no other process can import. cloudpickle, by which
joblib sends functions, sends such functions whole; an op goes with it in the same way. Without cloudpickle an op is
found by its name, as pickle finds functions.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import threading
from typing import Any
from weakref import WeakValueDictionary

from lazygrad.errors import report
from lazygrad.graph.graph import Op
from lazygrad.graph.guarded import declared_at, guarded

__all__ = ["carried", "is_by_name_alone"]

CLOUD = ("cloudpickle", "joblib.externals.cloudpickle")
OWN = ("kernel", "seen", "_resolved", "_tag")  # what an op works out for itself
_known: WeakValueDictionary[str, Op] = WeakValueDictionary()  # by tags, so that there is one of each here too


class _Doing(threading.local):
    """The tags of the ops that this thread is pickling whole: their own functions may name them."""

    def __init__(self) -> None:
        self.tags: set[str] = set()


_doing = _Doing()


def is_by_name_alone() -> bool:
    """Whether nothing that has been imported sends functions whole, as cloudpickle and dill do."""
    return not any(name in sys.modules for name in (*CLOUD, "dill"))


def carried(op: Op) -> Any:
    """What a pickle has of an op of the user's.

    Raises:
        PicklingError: no other process could find it.
    """
    module, name = op.kernel.__module__, str(vars(op)["__qualname__"])
    is_found = _found(module, name) is op
    cloud = next((sys.modules[known] for known in CLOUD if known in sys.modules), None)
    if is_found and (module != "__main__" or cloud is None):
        return name
    if cloud is None:
        cure = "Declare it at the top of a module, where other processes find it by its name, or import cloudpickle."
        raise pickle.PicklingError(report(f"cannot pickle op {op.name!r}, declared at {declared_at(op)}", cure=cure))
    tag = vars(op).setdefault("_tag", os.urandom(16).hex())
    _known[tag] = op
    return _again, (type(op), tag, None if tag in _doing.tags else _whole(op, tag, cloud))


def _whole(op: Op, tag: str, cloud: Any) -> bytes:
    """All that was declared of an op."""
    _doing.tags.add(tag)
    try:
        state: bytes = cloud.dumps({key: value for key, value in vars(op).items() if key not in OWN})
    finally:
        _doing.tags.discard(tag)
    return state


def _again(kind: type[Op], tag: str, whole: bytes) -> Op:
    """The op that was pickled, once in a process."""
    op = _known.get(tag)
    if op is None:
        _known[tag] = op = kind.__new__(kind)  # known before its functions are read, which may name it
        vars(op).update(pickle.loads(whole), seen={}, _resolved={}, _tag=tag)
        op.kernel = guarded(op, vars(op)["raw"])
    return op


def _found(module: str, name: str) -> Any:
    """What has this name in a module, if it can be imported."""
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
    except ImportError:
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
