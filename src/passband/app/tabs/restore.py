"""The tab Restore."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.uploads import REMOVED
from passband.app.html import results as markup
from passband.app.html.words import limits_sentence
from passband.app.tabs.parts import QUIET, command_box, example_buttons
from passband.app.tabs.spectra import spectrum_html
from passband.app.work.restoring import NONE, Options, joined

if TYPE_CHECKING:
    from passband.app.server import Server

AUTO_INFO = "auto inspects each photo, and chooses one or two networks, or leaves the photo alone."

STRENGTH_INFO = "0 keeps the photo, 1 restores it in full."

LAST_VISIT = "() => { try { return sessionStorage.getItem('passband-visit') ?? ''; } catch { return ''; } }"
"""Script that returns the token of the visit that this tab of the browser had before the page was reloaded."""
KEEP_VISIT = "(visit) => { try { sessionStorage.setItem('passband-visit', visit); } catch {} }"
"""Script that keeps the token of a visit until this tab of the browser is closed, if the browser allows it."""


def restore_tab(server: "Server") -> None:
    """Build the tab.

    Args:
        server: the running page.
    """
    names = list(server.weights)
    with gr.Row(elem_classes="pb-restore"):
        with gr.Column(scale=1, min_width=300, elem_classes="pb-side"):
            files = gr.File(label="Photos or a short video", file_count="multiple", height=150, elem_id="pb-drop")
            gr.HTML(f'<p class="pb-limits">{limits_sentence(server.settings.limits)}</p>', elem_id="pb-limits")
            examples = example_buttons()
            with gr.Accordion("Settings", open=False, elem_id="pb-settings"):
                weights = gr.Dropdown(names, value="auto", label="Network", info=AUTO_INFO, elem_id="pb-weights")
                second = gr.Dropdown([NONE, *names], value=NONE, label="Compare with", elem_id="pb-second")
                strength = gr.Slider(0, 1, 1, step=0.05, label="Strength", info=STRENGTH_INFO)
                is_named = gr.Checkbox(
                    label="Name the network in the result", info="In the file name and in the metadata of the image."
                )
            with gr.Row():
                start = gr.Button("Restore", variant="primary", elem_id="pb-start")
                stop = gr.Button("Cancel", visible=False, elem_id="pb-stop")
        state = gr.HTML(markup.state(), elem_id="pb-status", elem_classes="pb-state")
        with gr.Column(scale=3, min_width=340, elem_classes="pb-main"):
            viewer = gr.HTML(markup.EMPTY, elem_id="pb-viewer")
            details = gr.HTML(elem_id="pb-details")
            results = gr.Radio([], label="Results of this visit", visible=False, elem_id="pb-results")
            archive = gr.HTML(elem_id="pb-archive")
            with gr.Accordion("Frequencies before and after", open=False, visible=False, elem_id="pb-change") as box:
                clean = gr.File(label="Clean version, if there is one", height=110, elem_id="pb-clean")
                measure = gr.Button("Show the spectrum", elem_id="pb-measure")
                spectrum = gr.HTML(elem_id="pb-spectrum-result")
            command = command_box("pb-cli")

    visit = gr.Textbox(visible=False)

    def show(label: str | None, request: gr.Request) -> list[Any]:
        """Show a result of this session."""
        session = server.storage.session(request.session_hash)
        result = session.results.get(label or "")
        if result is None:
            return [markup.EMPTY, markup.problem(f"This result {REMOVED}"), *[gr.update(visible=False)] * 2, ""]
        shown = [markup.viewer(result, server.storage), markup.details(result, server.storage)]
        has_image = not result.files[0].is_video
        return [*shown, gr.update(value=result.commands, visible=True), gr.update(visible=has_image), ""]

    def show_all(label: str | None, request: gr.Request) -> list[Any]:
        """Return the list of results, the link to all of them, and one result; None for the one that is shown."""
        session = server.storage.session(request.session_hash)
        chosen = {} if label is None else {"value": label}
        listed = gr.update(choices=list(session.results), visible=len(session.results) > 1, **chosen)
        count = sum(len(result.files) for result in session.results.values())
        link = markup.archive_link(session.folder.name, count)
        return [listed, link, *([gr.skip()] * 5 if label is None else show(label, request))]

    async def follow(paths: Sequence[str | Path], options: Options, request: gr.Request) -> AsyncIterator[list[Any]]:
        """Restore files, and yield the values of all outputs, with the state of files that are restored already.

        The first result is shown, and the others are listed, because a person may be looking at the first one.
        """
        running, own, is_first = server.storage.session(request.session_hash).running, object(), True
        try:
            async for moment in server.restoring.restore(request.session_hash, paths, options):
                running[own] = moment
                together = joined(moment, running.values())
                if together.is_over:
                    running.clear()
                results = [gr.skip()] * 7
                if moment.new:
                    results, is_first = show_all(moment.new[0] if is_first else None, request), False
                yield [markup.status(together), gr.update(visible=not together.is_over), *results]
        finally:
            if own in running and not running[own].is_over:  # the person has left
                del running[own]

    async def restore(
        paths: list[str] | None, weights: str, second: str, strength: float, is_named: bool, request: gr.Request
    ) -> AsyncIterator[list[Any]]:
        if not paths:
            yield [markup.state("", "There is no file yet. Drop a photo, or choose an example."), *[gr.skip()] * 8]
            return
        async for values in follow(paths, Options(weights, second, strength, is_named), request):
            yield values

    async def restore_added(
        paths: list[str] | None, weights: str, second: str, strength: float, is_named: bool, request: gr.Request
    ) -> AsyncIterator[list[Any]]:
        """Restore the files that were added to the list, but not those that were restored when they were added.

        A list that is older than its files or than the session begins with files that were removed.
        """
        added = [
            path for path in server.storage.session(request.session_hash).added(paths or []) if Path(path).is_file()
        ]
        async for values in follow(added, Options(weights, second, strength, is_named), request):
            yield values

    def example(path: Path) -> Any:
        async def restore_example(
            weights: str, second: str, strength: float, is_named: bool, request: gr.Request
        ) -> AsyncIterator[list[Any]]:
            async for values in follow([path], Options(weights, second, strength, is_named), request):
                yield values

        return restore_example

    settings: list[Any] = [weights, second, strength, is_named]
    outputs: list[Any] = [state, stop, results, archive, viewer, details, command, box, spectrum]
    start.click(restore, [files, *settings], outputs, **QUIET)
    files.upload(restore_added, [files, *settings], outputs, trigger_mode="multiple", **QUIET)
    for button, path in examples:
        button.click(example(path), settings, outputs, **QUIET)

    def note_list(paths: list[str] | None, request: gr.Request) -> None:
        server.storage.session(request.session_hash).added(paths or [])

    for event in (files.clear, files.delete):
        event(note_list, files, None, **QUIET)

    def cancel(request: gr.Request) -> None:
        server.jobs.cancel_person(server.storage.session(request.session_hash).key)

    def resume(token: str, request: gr.Request) -> list[Any]:
        """Show the results of this visit again after the page was reloaded."""
        session = server.storage.session(request.session_hash)
        server.storage.resume(session, token)
        return [session.folder.name, *show_all(next(reversed(session.results), None), request)]

    opened = gr.on(None, resume, visit, [visit, *outputs[2:]], js=LAST_VISIT, **QUIET)
    opened.then(None, visit, None, js=KEEP_VISIT)
    stop.click(cancel, **QUIET)
    results.input(show, results, [viewer, details, command, box, spectrum], **QUIET)

    async def show_spectrum(label: str, path: str | None, request: gr.Request) -> AsyncIterator[str]:
        result = server.storage.session(request.session_hash).results.get(label or "")
        if result is None:
            yield markup.problem(f"This result {REMOVED}")
            return
        async for html in spectrum_html(server, request.session_hash, result, path):
            yield html

    measure.click(show_spectrum, [results, clean], spectrum, **QUIET)
    clean.upload(show_spectrum, [results, clean], spectrum, **QUIET)
