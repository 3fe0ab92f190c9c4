"""Networks that find instances."""
