"""The data sets of the tasks. The number of a sample decides everything that is random about it."""
