"""Looking at what a network does: pictures and curves."""
