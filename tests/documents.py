"""Reads the code blocks of the documents, for the tests that run or check them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(path):
    """Return language and text of the code blocks of a Markdown file, in order."""
    return BLOCK.findall(path.read_text(encoding="utf-8"))
