"""The tab Frequencies."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.checks import UploadError, shown_name
from passband.app.html import frequencies as markup
from passband.app.html.results import end, problem, state
from passband.app.tabs.parts import QUIET, example_buttons
from passband.app.work.frequencies import (
    ChannelsRequest,
    DefinitionsRequest,
    FiltersRequest,
    FrequencyRequest,
    MosaicRequest,
    PartsRequest,
    SpectrumRequest,
    parsed_subset,
)
from passband.layers.channels import SUBSETS

if TYPE_CHECKING:
    from passband.app.server import Server

WORKING = state("<p>The page computes this.</p>")
SPECTRUM_TEXT = """<h2 class="pb-part">Spectrum</h2>
<p>Every image is a sum of waves. This shows how strong each of them is.</p>"""
PARTS_TEXT = """<h2 class="pb-part">Low and high frequencies</h2>
<p>The slider keeps a share of the spectrum, from coarse to fine. The low part holds these waves, and the high part
holds the rest. Both together are the image.</p>"""
DEFINITIONS_TEXT = """<h3>The same ratio by all four definitions</h3>
<p>A share of the spectrum can be a share of different things, and the low parts differ widely.</p>"""
CHANNELS_TEXT = """<h2 class="pb-part">Frequency channels</h2>
<p>JPEG writes each block of 8 x 8 pixels as 64 patterns. Each small image shows where one pattern occurs, from coarse
(top left) to fine (bottom right). Choose some of the 192 channels, and see what they still show.</p>"""
PICKED = """document.addEventListener("passband-choose", (event) => {
  props.value = event.detail;
  trigger("input");
});"""
"""Script that hands the numbers of channels that a person picks in the mosaic to the page."""
FILTERS_TEXT = """<h2 class="pb-part">Filters of SFNet</h2>
<p>SFNet predicts small filters from the image, which split it into a coarse and a fine part, and then decides how much
each part counts. This shows what it chose, block by block.</p>"""


def frequencies_tab(server: "Server") -> None:
    """Build the tab.

    Args:
        server: the running page.
    """
    source = gr.State(None)
    limit = server.settings.limits.image_pixels
    with gr.Row(elem_classes="pb-restore"):
        with gr.Column(scale=1, min_width=280, elem_classes="pb-side"):
            gr.HTML(markup.INTRODUCTION)
            file = gr.File(label="Photo", height=130, elem_id="pb-look")
            examples = example_buttons()
        progress = gr.HTML(state(), elem_id="pb-look-status", elem_classes="pb-state")
        with gr.Column(scale=3, min_width=320, elem_classes="pb-main"):
            gr.HTML(SPECTRUM_TEXT)
            spectrum = gr.HTML(markup.EMPTY, elem_id="pb-spectrum")
            with gr.Column(visible=False) as rest:  # it has nothing to show before there is a photo
                gr.HTML(PARTS_TEXT)
                ratio = gr.Slider(0, 100, 25, step=1, label="Frequency ratio in percent", elem_id="pb-ratio")
                chosen = gr.Dropdown(markup.DEFINITION_CHOICES, value="magnitude", label="Definition of the ratio")
                parts = gr.HTML(elem_id="pb-parts")
                gr.HTML(DEFINITIONS_TEXT)
                every = gr.HTML(elem_id="pb-definitions")
                gr.HTML(CHANNELS_TEXT)
                with gr.Row():
                    subset = gr.Dropdown(list(SUBSETS), value="24S", label="Subset of channels")
                    numbers = gr.Textbox(
                        label="Or numbers of channels",
                        info="Channels that you choose below are written here. Example: 0, 1, 8, 64, 128",
                        elem_id="pb-numbers",
                    )
                mosaic = gr.HTML(elem_id="pb-mosaic")
                picked = gr.HTML("", html_template="", js_on_load=PICKED, elem_id="pb-picked")
                channels = gr.HTML(elem_id="pb-channels")
                gr.HTML(FILTERS_TEXT)
                names = [name for name in server.weights if name != "auto"]
                weights = gr.Dropdown(names, value="general", label="Network of the filters")
                start = gr.Button("Show the filters", variant="primary", elem_id="pb-filter")
                filters = gr.HTML(elem_id="pb-filters")

    async def answer(request: FrequencyRequest, shown: Callable[[Any], str], key: str | None) -> str:
        """Do work in a worker, and return its HTML."""
        job = await server.jobs.finish(server.storage.session(key).key, request)
        return problem(job.error) if job.error else shown(job.result)

    async def show_spectrum(path: Path | None, request: gr.Request) -> tuple[Any, str, Any]:
        if path is None:  # the upload was refused, and the reason is shown already
            return gr.skip(), markup.EMPTY, gr.update(visible=False)
        key = server.storage.session(request.session_hash).key
        job = await server.jobs.finish(key, SpectrumRequest(path, limit))
        if job.error:
            return state("", job.error), markup.EMPTY, gr.update(visible=False)
        said = end(f"The frequencies of {shown_name(path)} are shown.", "pb-spectrum")
        return state(said), markup.spectrum(job.result, shown_name(path)), gr.update(visible=True)

    async def show_parts(path: Path | None, ratio: float, definition: str, request: gr.Request) -> str:
        if path is None:
            return ""
        work = PartsRequest(path, limit, ratio / 100, definition)
        return await answer(work, markup.parts, request.session_hash)

    async def show_definitions(path: Path | None, ratio: float, request: gr.Request) -> str:
        if path is None:
            return ""
        return await answer(DefinitionsRequest(path, limit, ratio / 100), markup.definitions, request.session_hash)

    async def show_channels(path: Path | None, subset: str, numbers: str | None, request: gr.Request) -> str:
        if path is None:
            return ""
        try:
            work = ChannelsRequest(path, limit, parsed_subset(subset, numbers or ""))
        except UploadError as error:
            return problem(str(error))
        return await answer(work, markup.channels, request.session_hash)

    async def show_picked(path: Path | None, numbers: str | None, request: gr.Request) -> tuple[str, str]:
        if path is None or not numbers:
            return "", problem("No channel is chosen. Choose one or more in the mosaic.")
        work = ChannelsRequest(path, limit, parsed_subset("", numbers))
        shown = await answer(work, lambda view: markup.channels(view, is_picked=True), request.session_hash)
        return numbers, shown

    async def show_mosaic(path: Path | None, request: gr.Request) -> str:
        return "" if path is None else await answer(MosaicRequest(path, limit), markup.mosaic, request.session_hash)

    async def show_filters(path: Path | None, name: str, request: gr.Request) -> AsyncIterator[str]:
        if path is None:
            yield problem("There is no photo yet. Drop a photo, or choose an example.")
            return
        yield WORKING
        work = FiltersRequest(path, limit, server.weights.get(name, "general"))
        yield await answer(work, markup.filters, request.session_hash)

    def take(path: str | Path | None, request: gr.Request) -> tuple[Path | None, str]:
        """Take over an upload or an example."""
        if path is None:
            return None, state()
        try:
            return server.storage.take(server.storage.session(request.session_hash), path), WORKING
        except UploadError as error:
            return None, state("", str(error))

    def take_example(path: Path) -> Callable[[gr.Request], tuple[Path | None, str]]:
        def taken(request: gr.Request) -> tuple[Path | None, str]:
            return take(path, request)

        return taken

    latest: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
    given = [file.upload(take, file, [source, progress], **QUIET)]
    given += [button.click(take_example(path), None, [source, progress], **QUIET) for button, path in examples]
    for event in given:
        event.success(show_spectrum, source, [progress, spectrum, rest], **QUIET)
        event.success(show_parts, [source, ratio, chosen], parts, **QUIET)
        event.success(show_definitions, [source, ratio], every, **QUIET)
        event.success(show_mosaic, source, mosaic, **QUIET)
        event.success(show_channels, [source, subset, numbers], channels, **QUIET)
        event.success(lambda: "", None, filters, **QUIET)
    moved = ratio.input(show_parts, [source, ratio, chosen], parts, **latest)
    moved.then(show_definitions, [source, ratio], every, **latest)  # after the parts, which should come at once
    chosen.input(show_parts, [source, ratio, chosen], parts, **latest)
    subset.input(lambda: "", None, numbers, **QUIET)
    subset.input(show_channels, [source, subset, gr.State("")], channels, **latest)
    picked.input(show_picked, [source, picked], [numbers, channels], **latest)
    numbers.submit(show_channels, [source, subset, numbers], channels, **latest)
    start.click(show_filters, [source, weights], filters, **QUIET)
