"""Comparisons of images, overlays and charts."""
