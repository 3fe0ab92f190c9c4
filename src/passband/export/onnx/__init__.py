"""Writes networks as ONNX graphs, and starts their files with ONNX Runtime."""
