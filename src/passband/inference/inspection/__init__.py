"""Inspection: finds degradations of an image, tries networks on it, and chooses the network that restores it."""
