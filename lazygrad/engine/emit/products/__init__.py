"""Matrix products in native code: register tiles written for the sizes and strides at hand."""

from lazygrad.engine.emit.products.form import Place, Product, Strides
from lazygrad.engine.emit.products.shape import Cut, Needs, shape
from lazygrad.engine.emit.products.turn import Turned, turned
from lazygrad.engine.emit.products.write import write

__all__ = ["Place", "Needs", "Product", "Cut", "Strides", "Turned", "shape", "turned", "write"]
