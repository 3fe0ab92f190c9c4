"""Studies: compare many trainings of different settings in a table and a chart."""
