"""All that a GPU is needed for, in five minutes: see ``__main__``.

``here`` finds the GPU, or puts CuPy's double in its place; ``bits`` compares kernels with the host's lanes, ``suites``
runs tests and NVIDIA's ``compute-sanitizer``, ``times`` and ``bandwidth`` measure, ``page`` writes it down.
"""
