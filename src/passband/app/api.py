"""The functions of the page for programs, through the HTTP API of Gradio and its Python client."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.checks import UploadError
from passband.app.work.frequencies import ChannelsRequest, PartsRequest, SpectrumRequest, parsed_subset
from passband.app.work.requests import Request
from passband.app.work.restoration import InspectRequest
from passband.app.work.restoring import NONE, Options, Result
from passband.app.work.tasks import ClassifyRequest, Mask, segment_request
from passband.curriculum.ratio import DEFINITIONS
from passband.inference import Inspected
from passband.layers.channels import SUBSETS

if TYPE_CHECKING:
    from passband.app.server import Server

Build = Callable[[Path, Path], Request]
"""Function from the paths of an uploaded file and of a new folder to the work on the file."""


def add_api(server: "Server") -> None:
    """Add the functions to the page that is being built.

    Args:
        server: the running page.
    """
    pixels = server.settings.limits.image_pixels

    async def done(file: str, request: gr.Request, build: Build) -> tuple[Any, Path]:
        """Take over an upload and do the work; return the result, and a folder for files."""
        session = server.storage.session(request.session_hash)
        try:
            work = build(server.storage.take(session, file), folder := session.new_folder("out"))
        except UploadError as error:
            raise _refusal(str(error)) from error
        job = await server.jobs.finish(session.key, work)
        if job.error:
            raise _refusal(job.error)
        return job.result, folder

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
        return (await done(file, request, lambda source, _: InspectRequest(source, pixels)))[0]

    async def spectrum(file: str, request: gr.Request) -> tuple[str, str, dict[str, Any]]:
        view, folder = await done(file, request, lambda source, _: SpectrumRequest(source, pixels))
        facts = {"title": view.title, "text": view.text, "width": view.size[0], "height": view.size[1]}
        columns = {name: [_finite(value) for value in column] for name, column in view.columns.items()}
        images = _write(folder, {"spectrum.png": view.amplitude, "curve.png": view.curve})
        return images[0], images[1], {**facts, "is_reduced": view.is_shrunk, "columns": columns}

    async def ratio(file: str, ratio: float, definition: str, request: gr.Request) -> tuple[str, str, dict[str, Any]]:
        view, folder = await done(file, request, lambda source, _: PartsRequest(source, pixels, ratio, definition))
        images = _write(folder, {"low.jpg": view.low, "high.jpg": view.high})
        return images[0], images[1], {**view.figures, "definition": view.definition, "gain": view.gain}

    async def channels(file: str, subset: str, numbers: str, request: gr.Request) -> tuple[str, dict[str, Any]]:
        def build(source: Path, _: Path) -> Request:
            return ChannelsRequest(source, pixels, parsed_subset(subset, numbers))

        view, folder = await done(file, request, build)
        facts = {**view.fidelity, "title": view.title, "text": view.text, "channels": list(view.chosen)}
        return _write(folder, {"channels.jpg": view.rebuilt})[0], facts

    async def classify(file: str, weights: str, request: gr.Request) -> dict[str, Any]:
        def build(source: Path, _: Path) -> Request:
            return ClassifyRequest(source, server.own_weights(weights, "classification")[1], pixels)

        classes, _ = await done(file, request, build)
        guesses = [{"class": one.name, "probability": one.probability} for one in classes.guesses]
        return {"guesses": guesses, "channels": list(classes.channels), "is_gated": classes.is_gated}

    async def segment(file: str, weights: str, score: float, request: gr.Request) -> tuple[str, str, dict[str, Any]]:
        def build(source: Path, folder: Path) -> Request:
            return segment_request(server, weights, source, folder, score)

        result, _ = await done(file, request, build)
        facts = {"shares": result.shares} if isinstance(result, Mask) else {"instances": result.counts}
        return str(result.file), str(result.overlay), facts

    with gr.Column(visible=False):
        file, facts, button = gr.File(label="File"), gr.JSON(label="Facts"), gr.Button()
        first, second = gr.File(label="First file"), gr.File(label="Second file")
        weights = gr.Dropdown(list(server.weights), value="auto", label="Name of a network, or auto")
        strength = gr.Slider(0, 1, 1, label="Strength, 0 to 1")
        named = gr.Checkbox(label="Whether the file name and the metadata of the result name the network")
        share = gr.Slider(0, 1, 0.25, label="Frequency ratio, 0 to 1")
        definition = gr.Dropdown(list(DEFINITIONS), value="magnitude", label="Definition of the ratio")
        subset = gr.Dropdown(list(SUBSETS), value="24S", label="Name of a subset of channels")
        numbers = gr.Textbox(label="Numbers of channels with commas, instead of a subset")
        own = gr.Textbox(label="Name of weights of one's own")
        score = gr.Slider(0, 1, 0.5, label="Smallest score of an instance, for detectors")
    functions: list[tuple[Callable[..., Any], list[Any], list[Any]]] = [
        (restore, [file, weights, strength, named], [first, facts]),
        (inspect, [file], [facts]),
        (spectrum, [file], [first, second, facts]),
        (ratio, [file, share, definition], [first, second, facts]),
        (channels, [file, subset, numbers], [first, facts]),
        (classify, [file, own], [facts]),
        (segment, [file, own, score], [first, second, facts]),
    ]
    common: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
    for function, inputs, outputs in functions:
        button.click(function, inputs, outputs, api_name=function.__name__, **common)
    button.click(lambda: list(server.weights), None, [facts], api_name="networks", **common)
    own_tasks = {name: task for name, (task, _) in server.others.items()}
    button.click(lambda: own_tasks, None, [facts], api_name="own_networks", **common)


def description(result: Result) -> dict[str, Any]:
    """Return what was found and done, as JSON can hold it.

    Args:
        result: result of one file.
    """
    restored = result.files[0]
    facts: dict[str, Any] = {"weights": restored.weights, "notes": list(restored.notes), "command": result.commands}
    name = Path(result.source.name)
    found = [[Inspected(name, one).as_dict() for one in scene.decision.diagnoses] for scene in restored.scenes]
    if not restored.is_video:
        return {**facts, "inspections": found[0]}
    scenes = [
        {"start": scene.start, "weights": restored.network_of(scene), "inspections": inspections}
        for scene, inspections in zip(restored.scenes, found, strict=True)
    ]
    return {**facts, "scenes": scenes}


def _finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return value if math.isfinite(value) else None


def _write(folder: Path, contents: dict[str, bytes]) -> list[str]:
    """Write files into a folder of a session, and return their paths."""
    paths = [folder / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return [str(path) for path in paths]


def _refusal(*problems: str) -> gr.Error:
    """Return an error with a sentence for the client."""
    return gr.Error(problems[-1] if problems else "The file was not restored.", print_exception=False)
