"""The functions of the page for programs, through the HTTP API of Gradio and its Python client."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.checks import UploadError
from passband.app.work.restoration import InspectRequest
from passband.app.work.restoring import NONE, Options, Result
from passband.inference import Inspected

if TYPE_CHECKING:
    from passband.app.server import Server


def add_api(server: "Server") -> None:
    """Add the functions to the page that is being built.

    Args:
        server: the running page.
    """

    async def restore(
        file: str, weights: str, strength: float, name_weights: bool, request: gr.Request
    ) -> tuple[str, dict[str, Any]]:
        options = Options(weights, NONE, strength, name_weights)
        problems: tuple[str, ...] = ()
        async for moment in server.restoring.restore(request.session_hash, [file], options):
            problems = moment.problems
            for label in moment.new:
                result = server.storage.session(request.session_hash).results[label]
                return str(result.files[0].target), description(result)
        raise _refusal(*problems)

    async def inspect(file: str, request: gr.Request) -> dict[str, Any]:
        session = server.storage.session(request.session_hash)
        try:
            source = server.storage.take(session, file)
        except UploadError as error:
            raise _refusal(str(error)) from error
        job = await server.jobs.finish(session.key, InspectRequest(source, server.settings.limits.image_pixels))
        if job.error:
            raise _refusal(job.error)
        return job.result

    with gr.Column(visible=False):
        file, output, facts = gr.File(label="File"), gr.File(label="Restored file"), gr.JSON(label="Facts")
        weights = gr.Dropdown(list(server.weights), value="auto", label="Name of a network, or auto")
        strength = gr.Slider(0, 1, 1, label="Strength, 0 to 1")
        named = gr.Checkbox(label="Whether the file name and the metadata of the result name the network")
        button = gr.Button()
    common: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
    button.click(restore, [file, weights, strength, named], [output, facts], api_name="restore", **common)
    button.click(inspect, [file], [facts], api_name="inspect", **common)
    button.click(lambda: list(server.weights), None, [facts], api_name="networks", **common)


def description(result: Result) -> dict[str, Any]:
    """Return what was found and done, as JSON can hold it.

    Args:
        result: result of one file.
    """
    restored, diagnosis = result.files[0], result.files[0].diagnosis
    facts: dict[str, Any] = {"weights": restored.weights, "notes": list(restored.notes), "command": result.commands}
    if diagnosis is not None:
        facts["inspection"] = {**Inspected(result.source, diagnosis).as_dict(), "file": result.source.name}
    return facts


def _refusal(*problems: str) -> gr.Error:
    """Return an error with a sentence for the client."""
    return gr.Error(problems[-1] if problems else "The file was not restored.", print_exception=False)
