"""Our networks in other people's programs, a file per program."""
