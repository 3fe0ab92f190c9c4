"""Cubes of frequency channels, made from image files and from pixels."""
