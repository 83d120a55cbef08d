"""What a step writes: specs, tensors, and the list of nodes."""
