# `make` lists the targets.
.PHONY: help setup test fast lint style types imports language docs

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

lint: style types imports language

style:
	ruff check .
	ruff format --check .

types:
	pyright

imports:
	lint-imports

language:
	python .ci/language.py

docs:
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict
