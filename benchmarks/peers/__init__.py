"""One training step as each framework's own users would write it, one file a framework.

Every file says in ``NAME`` what tables call it, in ``PACKAGES`` what must be installed, and has
``training(workload)``, which returns a function of the number of a step: it makes the step on batch
``number % BATCHES``, and returns the loss from before the step as anything that ``float`` takes.
"""
