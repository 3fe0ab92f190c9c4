"""The compiled reader of JPEG coefficients, over libjpeg-turbo; `passband.io.jpeg` is its public side."""
