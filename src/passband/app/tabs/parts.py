"""Parts that several tabs share: examples to click, and the progress of one request."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.checks import UploadError
from passband.app.files.uploads import EXAMPLES, Session
from passband.app.html import results as markup
from passband.app.work.requests import Request
from passband.app.work.restoring import Moment

if TYPE_CHECKING:
    from passband.app.server import Server

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""Options of an event whose function shows its progress itself, and which programs do not call."""


def example_buttons() -> list[tuple[gr.Button, Path]]:
    """Build a heading and a button for each example, and return the buttons with the paths of their files."""
    gr.HTML('<h2 class="pb-small">Examples</h2>')
    with gr.Row(elem_classes="pb-examples"):
        return [
            (gr.Button(path.stem.replace("-", " ").capitalize(), icon=path, elem_classes="pb-example"), path)
            for path in EXAMPLES
        ]


def command_box(name: str) -> gr.Textbox:
    """Build the box of the command line that does the same, with a button that copies it; it is hidden at first.

    Args:
        name: identifier of the element.
    """
    label = "The same on the command line"
    return gr.Textbox(
        label=label, visible=False, buttons=["copy"], interactive=False, elem_id=name, elem_classes="pb-cli"
    )


async def run_upload(
    server: "Server",
    key: str | None,
    path: str | Path | None,
    build: Callable[[Session, Path], Request],
    verb: str,
    place: str,
) -> AsyncIterator[tuple[str, Any]]:
    """Take over an upload, run a request on it, and yield its progress.

    Args:
        server: the running page.
        key: session hash of the person; None counts as one common person.
        path: path of the upload; None if there is none.
        build: function from the session and the path of the file to the request.
        verb: participle for the progress, such as `classified`.
        place: identifier of the element that shows the result.

    Yields:
        HTML of the progress or the problem, and the result; None until it is there.
    """
    if not path:
        yield markup.state("", "There is no file yet. Drop an image first."), None
        return
    session = server.storage.session(key)
    try:
        request = build(session, server.storage.take(session, path))
    except UploadError as error:
        yield markup.state("", str(error)), None
        return
    async for progress in run_request(server, key, request, verb, place):
        yield progress


async def run_request(
    server: "Server", key: str | None, request: Request, verb: str, place: str
) -> AsyncIterator[tuple[str, Any]]:
    """Run a request, and yield its progress.

    Args:
        server: the running page.
        key: session hash of the person; None counts as one common person.
        request: the work.
        verb: participle for the progress, such as `classified`.
        place: identifier of the element that shows the result.

    Yields:
        HTML of the progress or the problem, and the result; None until it is there.
    """
    job = server.jobs.submit(server.storage.session(key).key, request)
    async for _ in server.jobs.follow(job):
        problems = (job.error,) if job.error else ()
        yield markup.status(Moment((job,), problems, (), job.is_over), verb, place), job.result
