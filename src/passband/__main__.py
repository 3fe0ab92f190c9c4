"""`python -m passband` is `passband`."""

from passband.cli import main

main()
