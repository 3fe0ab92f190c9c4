"""Networks that segment images."""
