"""Makes passband's networks available in other projects, with one module per project."""
