"""Converts files to tensors and back. Only this package knows uint8, channel order, EXIF and file containers."""
