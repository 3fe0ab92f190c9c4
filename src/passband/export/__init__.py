"""Exports networks to files for ONNX Runtime and OpenVINO, and runs these files."""

from passband.export.graph import restoration_graph
from passband.export.network_writer import ExportError
from passband.export.write import Exported, export_model

__all__ = ["ExportError", "Exported", "export_model", "restoration_graph"]
