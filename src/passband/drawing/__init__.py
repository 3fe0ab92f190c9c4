"""Comparisons of images, overlays, charts, and figures of frequencies."""
