"""Matrix products in native code: register tiles written for the sizes and strides at hand."""

from lazygrad.codegen.products.form import Place, Product, Strides
from lazygrad.codegen.products.shape import Cut, Needs, shape
from lazygrad.codegen.products.turn import Turned, turned
from lazygrad.codegen.products.write import write

__all__ = ["Place", "Needs", "Product", "Cut", "Strides", "Turned", "shape", "turned", "write"]
