"""Charts with a common style: confusion matrices, differences, and curves of ratios, runs and trainings."""
