"""The tabs of the page: one file for each, and the parts that they share."""
