"""Images as cubes of normalized frequency channels, from a JPEG file's own coefficients or from pixels."""
