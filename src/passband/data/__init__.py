"""Data sets, folders of pairs and masks, and synthetic degradations."""
