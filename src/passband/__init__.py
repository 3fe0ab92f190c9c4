"""Vision models that choose which frequencies to let through."""
