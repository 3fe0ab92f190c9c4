"""What several commands share: the screen, lines for files, settings of a recipe as options."""
