"""Models in the form ONNX as layers. The package ``onnx`` reads them, and is imported when one is read."""

from lazygrad.onnx.entry import import_onnx

__all__ = ["import_onnx"]
