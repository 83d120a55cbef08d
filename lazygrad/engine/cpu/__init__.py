"""Native code on a CPU: its table, LLVM, what is cached, and how it is run."""
