"""A step as a model of ONNX, the exchange format of networks: its plan, written node by node."""
