"""The tabs Classify and Segment, for networks of one's own."""

from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.checks import UploadError
from passband.app.files.uploads import Session
from passband.app.html import results as markup
from passband.app.tabs.parts import QUIET, run_upload
from passband.app.work.tasks import Classes, ClassifyRequest, Mask, SegmentRequest

if TYPE_CHECKING:
    from passband.app.server import Server

GUIDE = {
    "classification": "passband train dct-small --data photos/ -o runs/photos",
    "segmentation": "passband train segment-small --data polyps/ -o runs/polyps",
}
"""Command that trains a network of each task."""


def classify_tab(server: "Server") -> None:
    """Build the tab Classify.

    Args:
        server: the running page.
    """

    def build(session: Session, source: Path, weights: str) -> ClassifyRequest:
        return ClassifyRequest(source, weights, session.new_folder("out"), server.settings.limits.image_pixels)

    def show(classes: Classes) -> str:
        picture = server.storage.address(classes.channels) if classes.channels else ""
        return classes_html(classes, picture)

    _tab(server, "classification", "classified", build, show)


def segment_tab(server: "Server") -> None:
    """Build the tab Segment.

    Args:
        server: the running page.
    """

    def build(session: Session, source: Path, weights: str) -> SegmentRequest:
        return SegmentRequest(source, weights, session.new_folder("out"), server.settings.limits.image_pixels)

    def show(mask: Mask) -> str:
        address = server.storage.address
        sources = [("Image", mask.before, "The image"), ("Mask", mask.overlay, "The image with its mask over it")]
        rows = "".join(
            f"<tr><th scope='row'>{escape(name)}</th><td>{100 * share:.1f} %</td></tr>"
            for name, share in mask.shares.items()
        )
        table = f"<table class='pb-table'><tr><th>class</th><th>share of the image</th></tr>{rows}</table>"
        link = markup.download_link(address(mask.mask), mask.mask)
        viewer = markup.viewer_of([(label, address(path), alt) for label, path, alt in sources])
        return f'{viewer}<section class="pb-card" aria-label="Result">{table}{link}</section>'

    _tab(server, "segmentation", "segmented", build, show)


def classes_html(classes: Classes, picture: str) -> str:
    """Return the probabilities of classes as a table with bars, and the channels that the gate opened.

    Args:
        classes: result of the classification.
        picture: address of the picture of channels; empty if there is none.
    """
    rows = "".join(
        f"<tr><th scope='row'>{escape(one.name)}</th><td class='pb-bar'><span style='width:"
        f"{100 * one.probability:.1f}%'></span></td><td>{100 * one.probability:.1f} %</td></tr>"
        for one in classes.guesses
    )
    table = f"<table class='pb-table'><tr><th>class</th><td></td><th>probability</th></tr>{rows}</table>"
    gate = ""
    if classes.opened:
        gate = f"<h2>Channels that the gate opened: {classes.opened}</h2>"
    if picture:
        alt = f"Map of the 192 frequency channels; {classes.opened} are open for this image"
        gate += f'<img class="pb-figure" src="{picture}" alt="{alt}">'
    return f'<section class="pb-card" aria-label="Result">{table}{gate}</section>'


def _tab(server: "Server", task: str, verb: str, build: Any, show: Any) -> None:
    """Build a tab with a list of weights, an upload, and a result."""
    names = [label for label, (own, _) in server.others.items() if own == task]
    with gr.Row(elem_classes="pb-restore"):
        with gr.Column(scale=1, min_width=300, elem_classes="pb-side"):
            if not names:
                gr.HTML(
                    '<div class="pb-card"><p>This tab needs a network of your own. Train one, and start the page with '
                    f"it:</p><pre>{GUIDE[task]}\npassband app --weights {GUIDE[task].split()[-1]}</pre></div>"
                )
            file = gr.File(label="Image", height=150, elem_id=f"pb-{task}", visible=bool(names))
            weights = gr.Dropdown(names, value=names[0] if names else None, label="Weights", visible=bool(names))
            start = gr.Button("Run", variant="primary", visible=bool(names))
        with gr.Column(scale=3, min_width=340, elem_classes="pb-main"):
            state = gr.HTML(elem_classes="pb-state")
            result = gr.HTML(elem_id=f"pb-{task}-result")

    async def run(path: str | None, label: str, request: gr.Request) -> AsyncIterator[list[Any]]:
        def build_request(session: Session, source: Path) -> Any:
            if server.others.get(label, ("", ""))[0] != task:
                raise UploadError(f"This page has no weights named {label!r} for this task.")
            return build(session, source, server.others[label][1])

        async for status, answer in run_upload(server, request.session_hash, path, build_request, verb):
            yield [status, gr.skip() if answer is None else show(answer)]

    for event in (file.upload, start.click):
        event(
            run,
            [file, weights],
            [state, result],
            **QUIET,
        )
