"""Compares networks, or folders of finished images, on the same pairs, and runs of any task."""
