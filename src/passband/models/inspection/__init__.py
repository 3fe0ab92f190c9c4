"""The network that finds how an image is degraded, and the judge of trials."""
