"""The files of the page: uploads and results of each person, their checks, and folders of runs."""
