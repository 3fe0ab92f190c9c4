"""Checks what can be counted about the language of docstrings and documents; see "Language" in CONTRIBUTING.md.

    python .ci/language.py [FILE ...]

Without files, all Python files of the package, its benchmarks and examples, and all documents are checked. The exit
status is 1 where something is found.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PREPOSITION = re.compile(
    "(about|above|after|against|along|as|at|before|behind|below|beside|between|by|during|for|from|in|inside|into|like|"
    "of|on|onto|out|outside|over|per|since|through|to|toward|under|until|up|upon|with|within|without)[,.;]?",
    re.IGNORECASE,
)
"""Words that an argument's line does not begin with: "scores: scores of each image", not "scores: of each"."""
QUESTIONS = ("What ", "Which ", "How ")
"""Words that begin questions, and no other sentence."""
SECTIONS = ("Args:", "Attributes:")
ARGUMENT = re.compile(r"^ {4}\**(\w+)(?: \([^)]*\))?: (\S+)")
PACKAGE, COMMANDS = Path("src/passband"), Path("src/passband/cli")
"""Folders of the package, whose public functions describe arguments and errors, and of its commands, whose options have
texts of their own."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LENGTH = 120
"""Characters in a line of a document; tables, links and code blocks are as long as they need to be."""


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line numbers and texts of all docstrings in a file, those of attributes included."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
                continue
            if isinstance(statement.value.value, str):
                yield statement.lineno, statement.value.value


def python_faults(path: Path) -> Iterator[tuple[int, str]]:
    """Find faults in the docstrings of a Python file, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.is_relative_to(PACKAGE) and not path.is_relative_to(COMMANDS):
        yield from section_faults(tree)
    for start, text in docstrings(tree):
        section, margin = "", 0
        for number, line in enumerate(text.split("\n"), start):
            stripped = line.strip()
            if stripped.endswith(":") and stripped[:-1].isalpha() and stripped[0].isupper():
                section, margin = stripped, len(line) - len(line.lstrip())
            argument = ARGUMENT.match(line[margin:]) if section in SECTIONS else None
            if argument and PREPOSITION.fullmatch(argument[2]):
                yield number, f"an argument's line begins with a preposition: {stripped}"
            sentence = stripped if number == start else ""
            if sentence.startswith(QUESTIONS) and "?" not in text:
                yield number, f"a sentence begins with a question word: {stripped}"


def own_errors(node: ast.AST) -> Iterator[str]:
    """Iterate over the errors that a function raises itself, without those in `try`, which it may catch."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) and child.exc is not None:
            yield ast.unparse(child.exc)
        elif isinstance(child, ast.Try):
            for handler in child.handlers:
                yield from own_errors(handler)
        elif not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            yield from own_errors(child)


def section_faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find public functions of a Python file whose docstrings lack a section, with their lines.

    Args is not asked for in methods, because a base class or a protocol may describe the arguments.
    """
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))]
    for scope in scopes:
        for function in scope.body:
            if not isinstance(function, FUNCTIONS) or function.name.startswith("_"):
                continue
            text = ast.get_docstring(function)
            if text is None:  # an overload; ruff finds other functions without a docstring
                continue
            if scope is tree and ast.unparse(function.args) and "Args:" not in text:
                yield function.lineno, f"{function.name} takes arguments, but its docstring has no section Args"
            if {*own_errors(function)} - {"NotImplementedError"} and "Raises:" not in text:
                yield function.lineno, f"{function.name} raises errors, but its docstring has no section Raises"


def document_faults(path: Path) -> Iterator[tuple[int, str]]:
    """Find faults in a Markdown file, with their lines."""
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        if inside or line.lstrip().startswith(("|", "[", "!", "<")):
            continue
        if len(line) > LENGTH:
            yield number, f"{len(line)} characters; lines have at most {LENGTH}"
        if re.match(r"(?:[-*] |\d+\. )?(?:What|Which|How) ", line) and "?" not in line and not line.startswith("#"):
            yield number, f"a sentence begins with a question word: {line[:60]}"


def main() -> int:
    """Print what is found, and return the exit status."""
    names = sys.argv[1:] or subprocess.run(
        ["git", "ls-files", "*.py", "*.md"], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    count = 0
    for path in map(Path, filter(None, names)):
        if path.suffix == ".py" and path.parts[0] == "tests":
            continue
        for line, fault in python_faults(path) if path.suffix == ".py" else document_faults(path):
            print(f"{path}:{line}: {fault}")
            count += 1
    print(f"{count} faults" if count else "language: nothing found")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
