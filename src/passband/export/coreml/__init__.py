"""Translates ONNX graphs into Core ML programs, and checks them in torch."""
