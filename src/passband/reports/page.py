"""Turns a report in Markdown into one HTML file that holds its images and can be sent to others."""

from base64 import b64encode
from pathlib import Path

from passband.io.files import write_whole

MIME_TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}
"""Types of the images that a page can hold, by their suffix."""
STYLE = """
:root { color-scheme: light dark; --quiet: #666; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; margin-top: 2rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .75rem; text-align: left; vertical-align: top; }
img { max-width: 100%; height: auto; background: white; }
code { overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { :root { --quiet: #aaa; } }
"""


def write_page(report: Path) -> Path:
    """Write a report in Markdown as one HTML file beside it, with the images inside.

    HTML in the report is shown as text, so that a file name cannot add a script to the page.

    Args:
        report: path of the Markdown file. Images are found relative to its folder. Images that are missing, or that
            lie outside the folder, stay links.

    Returns:
        Path of the HTML file: the same name with the suffix .html.

    Raises:
        OSError: if a file cannot be read or written.
    """
    from html import escape

    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(report.read_text(encoding="utf-8"))
    title = report.stem
    for position, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            title = tokens[position + 1].content
            break
    for token in tokens:
        for child in token.children or []:
            source = child.attrs.get("src")
            if child.type == "image" and isinstance(source, str):
                child.attrs["src"] = _embedded(report.parent, source)
    body = parser.renderer.render(tokens, parser.options, {})
    page = report.with_suffix(".html")
    with write_whole(page) as temporary:
        temporary.write_text(
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
            f"<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
            encoding="utf-8",
        )
    return page


def _embedded(folder: Path, source: str) -> str:
    """Return an image of the folder as a data address, or its unchanged address if it cannot be embedded."""
    from urllib.parse import unquote

    path = (folder / unquote(source)).resolve()
    kind = MIME_TYPES.get(path.suffix.lower())
    if kind is None or not path.is_relative_to(folder.resolve()) or not path.is_file():
        return source
    return f"data:{kind};base64,{b64encode(path.read_bytes()).decode()}"
