"""Nested structures."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

from lazygrad.trees import leaves, rebuilt, structure

Pair = namedtuple("Pair", "left right")


def test_leaves_have_the_path_a_user_would_write() -> None:
    """Indices and keys stand in brackets."""
    assert [("['a'][0]", 1), ("['a'][1]", 2), ("['b']", 3)] == leaves({"a": (1, 2), "b": 3})


def test_rebuilding_keeps_the_types_of_containers() -> None:
    """Tuples, lists, named tuples, dicts and ordered dicts stay what they are."""
    tree = [(1, 2), Pair(3, [4]), OrderedDict(x=5)]
    same = rebuilt(tree, [leaf * 10 for _, leaf in leaves(tree)])
    assert [(10, 20), Pair(30, [40]), OrderedDict(x=50)] == same
    assert [tuple, Pair, OrderedDict] == [type(item) for item in same]


def test_structures_tell_empty_containers_apart() -> None:
    """An empty list is not an empty tuple, nor a leaf."""
    assert 4 == len({structure([]), structure(()), structure({}), structure(None)})
