"""Runs the command line for `python -m passband`."""

from passband.cli import main

main()
