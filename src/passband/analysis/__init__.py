"""Analyzes trained networks: their frequency channels, frequency ratio and operations, and seams between tiles."""
