"""Pure functions on tensors: no files, no parameters, no state; imports torch alone."""
