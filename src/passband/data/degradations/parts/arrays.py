"""The array types that several degradations share."""

import numpy as np
from jaxtyping import Float32

ImageArray = Float32[np.ndarray, "3 H W"]
"""An RGB image in [0, 1]."""
MapArray = Float32[np.ndarray, "H W"]
"""One value for each pixel."""
