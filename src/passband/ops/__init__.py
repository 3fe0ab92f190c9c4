"""Pure functions on tensors, without files, parameters or state. They import only torch."""
