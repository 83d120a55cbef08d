"""Weights under PyTorch's names and in PyTorch's layouts, from and to a network of lazygrad. PyTorch is not imported.

Layers have the names that ``torch.nn`` gives them: in a ``Sequential`` or a list their places, in a dict their keys, in
a layer or another object the attributes that they are.
"""

from lazygrad.torch.weights import load_state_dict, state_dict

__all__ = ["load_state_dict", "state_dict"]
