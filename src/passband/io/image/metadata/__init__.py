"""Keeps metadata of images (EXIF, IPTC and XMP) correct when the image changes."""
