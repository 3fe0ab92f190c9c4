"""The data sets of the tasks, in which a number decides everything about a sample, and the order of samples."""
