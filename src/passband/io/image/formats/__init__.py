"""Readers and writers of the image file types, one module or more for each type."""
