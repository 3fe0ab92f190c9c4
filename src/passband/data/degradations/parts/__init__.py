"""The parts of several degradations: depth, light, kernels, strokes, random maps, and the camera."""
