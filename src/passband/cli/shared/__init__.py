"""Code below the commands: printing, progress bars, summaries of files, options, and a description of this machine."""
