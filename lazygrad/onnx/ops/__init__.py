"""The ops of ONNX, a family a file: each as a function of tensors, with the settings as keywords."""
