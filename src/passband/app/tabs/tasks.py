"""The tabs Classify and Segment, for networks of one's own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.uploads import Session
from passband.app.html import tasks as markup
from passband.app.html.results import state as state_html
from passband.app.tabs.parts import QUIET, command_box, run_upload
from passband.app.work.requests import Request
from passband.app.work.tasks import ClassifyRequest, segment_request

if TYPE_CHECKING:
    from passband.app.server import Server

GUIDES = {
    "classification": ("says what a photo shows", "passband train dct-small --data photos/ -o runs/photos"),
    "segmentation": ("marks things in a photo", "passband train segment-small --data polyps/ -o runs/polyps"),
}
"""Purpose of each tab, and the command that trains a network for it."""
SCORE_INFO = "Instances with a smaller score are not shown."


def classify_tab(server: "Server") -> None:
    """Build the tab Classify.

    Args:
        server: the running page.
    """

    def build(session: Session, source: Path, label: str, score: float) -> Request:
        _, path = server.own_weights(label, "classification")
        return ClassifyRequest(source, path, server.settings.limits.image_pixels)

    _tab(server, ("classification",), "classified", build, markup.classes)


def segment_tab(server: "Server") -> None:
    """Build the tab Segment, which also takes detectors.

    Args:
        server: the running page.
    """

    def build(session: Session, source: Path, label: str, score: float) -> Request:
        return segment_request(server, label, source, session.new_folder("out"), score)

    tasks = ("segmentation", "detection")
    _tab(server, tasks, "segmented", build, lambda result: markup.segmented(result, server.storage.address))


def _tab(
    server: "Server",
    tasks: tuple[str, ...],
    verb: str,
    build: Callable[[Session, Path, str, float], Request],
    show: Callable[[Any], str],
) -> None:
    """Build a tab with a list of weights, an upload, and a result."""
    task = tasks[0]
    names = [label for label, (own, _) in server.others.items() if own in tasks]
    has_score = any(own == "detection" for own, _ in server.others.values()) and "detection" in tasks
    if not names:
        does, guide = GUIDES[task]
        gr.HTML(
            f'<div class="pb-card"><p>This tab {does}, with a network of your own. Train one, and start the page with '
            f'it:</p><pre tabindex="0">{guide}\npassband app --weights {guide.split()[-1]}</pre></div>'
        )
        return
    with gr.Row(elem_classes="pb-restore"):
        with gr.Column(scale=1, min_width=300, elem_classes="pb-side"):
            file = gr.File(label="Image", height=150, elem_id=f"pb-{task}")
            weights = gr.Dropdown(names, value=names[0], label="Weights")
            score = gr.Slider(
                0, 1, 0.5, step=0.05, label="Smallest score of a detector", info=SCORE_INFO, visible=has_score
            )
            start = gr.Button("Run", variant="primary")
        state = gr.HTML(state_html(), elem_id=f"pb-{task}-status", elem_classes="pb-state")
        with gr.Column(scale=3, min_width=340, elem_classes="pb-main"):
            result = gr.HTML(markup.EMPTY, elem_id=(place := f"pb-{task}-result"))
            command = command_box(f"pb-{task}-cli")

    async def run(path: str | None, label: str, score: float, request: gr.Request) -> AsyncIterator[list[Any]]:
        def build_request(session: Session, source: Path) -> Request:
            return build(session, source, label, score)

        async for status, answer in run_upload(server, request.session_hash, path, build_request, verb, place):
            is_there = answer is not None
            line = gr.update(value=answer.command, visible=True) if is_there else gr.skip()
            yield [status, show(answer) if is_there else gr.skip(), line]

    for event in (file.upload, start.click):
        event(run, [file, weights, score], [state, result, command], **QUIET)
