"""Data sets, folders of pairs, and the synthetic degradations."""
