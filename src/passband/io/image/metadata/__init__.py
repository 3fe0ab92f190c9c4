"""Metadata that travels with an image: EXIF, IPTC and XMP, kept true when the image changes."""
