"""A step: written with a context, evaluated, compiled, and known again when it is called."""
