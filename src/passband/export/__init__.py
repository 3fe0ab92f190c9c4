"""Exports networks to files for ONNX Runtime and OpenVINO, and runs these files."""

from passband.export.exported_network import ExportedNetwork
from passband.export.network_writer import ExportError
from passband.export.onnx.logits_graph import logits_graph
from passband.export.onnx.restoration_graph import restoration_graph
from passband.export.write import Exported, export_model

__all__ = ["ExportError", "Exported", "ExportedNetwork", "export_model", "logits_graph", "restoration_graph"]
