"""Figures of frequencies: spectra, parts, channels and errors of images, and the filters and gates of networks."""
