"""Code that several commands share: printing and progress bars, summaries of files, and options that change recipes."""
