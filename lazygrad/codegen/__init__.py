"""From a plan to code: the third way in which a kernel is read."""
