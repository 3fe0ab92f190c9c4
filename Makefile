# `make` lists the targets.
.PHONY: help setup test fast lint docs

help:
	@echo "setup  install passband in this environment, with all that development needs, and the hooks of git"
	@echo "test   run all tests"
	@echo "fast   run the tests of small parts, in under a minute"
	@echo "lint   check style, types, imports and language"
	@echo "docs   build the site into build/site; a warning is an error"

setup:
	pip install -e '.[dev]'
	pre-commit install

test:
	pytest -n auto --dist worksteal

fast:
	pytest -n auto -m fast

lint:
	ruff check .
	ruff format --check .
	pyright
	lint-imports
	python .ci/language.py

docs:
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict
