"""Whether what an op declares is what its kernel does."""
