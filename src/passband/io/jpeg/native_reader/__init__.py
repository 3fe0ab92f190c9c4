"""Compiled reader of JPEG coefficients, based on libjpeg-turbo. The public interface is `passband.io.jpeg`."""
