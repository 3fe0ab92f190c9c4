"""What several degradations are made of: depth, light, kernels, strokes, random maps, and the camera afterwards."""
