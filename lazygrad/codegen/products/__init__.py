"""Matrix products in native code: register tiles written for the sizes and strides at hand."""

from lazygrad.codegen.products.form import Place, Product, Strides
from lazygrad.codegen.products.shape import Plan, Shape, shape
from lazygrad.codegen.products.turn import Turned, turned
from lazygrad.codegen.products.write import write

__all__ = ["Place", "Plan", "Product", "Shape", "Strides", "Turned", "shape", "turned", "write"]
