"""Files to tensors and back: the only place that knows uint8, channel order, EXIF and containers."""
