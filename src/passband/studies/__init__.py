"""Many trainings put beside each other: what a setting does, as a table and a picture."""
