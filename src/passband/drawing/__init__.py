"""Everything that passband draws: comparisons, overlays, charts."""
