"""What trained networks use and cost: frequency channels, the frequency ratio, operations, seams between tiles."""
