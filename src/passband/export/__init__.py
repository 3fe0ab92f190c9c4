"""Networks as files for other engines."""

from passband.export.convert import Exported, export_model
from passband.export.graph import ExportError, sfnet_graph

__all__ = ["ExportError", "Exported", "export_model", "sfnet_graph"]
