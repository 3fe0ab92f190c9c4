"""The page: its head, its tabs and its look."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.themes import Base, Color
from gradio.themes.utils import colors, sizes

from passband.app.api import add_api
from passband.app.arguments import CheckedBlocks
from passband.app.tabs.frequencies import frequencies_tab
from passband.app.tabs.restore import restore_tab
from passband.app.tabs.runs import runs_tab
from passband.app.tabs.tasks import classify_tab, segment_tab

if TYPE_CHECKING:
    from passband.app.server import Server

HERE = Path(__file__).parent
TABS = {
    "Restore": restore_tab,
    "Frequencies": frequencies_tab,
    "Classify": classify_tab,
    "Segment": segment_tab,
    "Runs": runs_tab,
}
"""Functions that build the tabs, by their names."""
IDLE = 0.03
"""Time in seconds between two looks of Gradio at its queue. Its default, a millisecond, takes a fifth of a core."""
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]
HEADER = """<header class="pb-header"><svg viewBox="0 0 48 24" aria-hidden="true"><path d="M2 12h8c3 0 3-9 6-9s3 18 6 18
3-18 6-18 3 18 6 18 3-9 6-9h6" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"
stroke-linejoin="round"/></svg><div><h1>passband</h1><p>Removes rain, snow, haze and blur from photos, and shows
their frequencies.</p></div></header>"""


def build_page(server: "Server") -> gr.Blocks:
    """Return the page.

    Args:
        server: the running page, which does the work.
    """
    with CheckedBlocks(title="passband", analytics_enabled=False, fill_width=True) as page:
        add_api(server)  # first, so that its functions have the names that are documented
        gr.HTML(HEADER)
        with gr.Tabs():
            for name, build in TABS.items():
                with gr.Tab(name, id=name.lower()):
                    build(server)

        def leave(request: gr.Request) -> None:
            server.jobs.cancel_person(server.storage.session(request.session_hash).key)

        page.unload(leave)
    page.queue(default_concurrency_limit=None)
    page._queue.sleep_when_free = IDLE
    return page


def page_look() -> dict[str, Any]:
    """Return the theme, styles and scripts of the page, as `Blocks.launch` takes them."""
    files = ("viewer/viewer.js", "viewer/viewer.css", "viewer/mosaic.js", "viewer/names.js", "style/media.css")
    viewer, style, mosaic, names, media = ((HERE / name).read_text("utf-8") for name in files)
    scripts = (viewer.replace("%%STYLE%%", style), mosaic, names)
    theme = Base(
        primary_hue=Color(*BLUES, name="passband"),
        neutral_hue=colors.slate,
        radius_size=sizes.radius_lg,
        font=FONTS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#14171b",
        body_text_color="#1d2329",
        body_text_color_dark="#e8ebee",
        body_text_color_subdued="#545d66",
        body_text_color_subdued_dark="#aab2ba",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1d2126",
        background_fill_secondary_dark="#262b31",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1d2126",
        block_border_width="1px",
        block_label_background_fill_dark="#1d2126",
        block_label_text_color="#3d454d",
        block_label_text_color_dark="#c4cbd2",
        block_info_text_color="#545d66",
        block_info_text_color_dark="#aab2ba",
        border_color_primary="#d5dae0",
        border_color_primary_dark="#3a4149",
        button_primary_background_fill="#0072B2",
        button_primary_background_fill_dark="#0072B2",
        button_primary_background_fill_hover="#005f94",
        button_primary_background_fill_hover_dark="#1283c4",
        button_primary_text_color="#ffffff",
        checkbox_background_color_dark="#14171b",
        checkbox_border_color="#87909a",
        checkbox_border_color_dark="#7f8993",
        checkbox_label_background_fill_dark="#262b31",
        checkbox_label_background_fill_hover_dark="#333a42",
        checkbox_label_background_fill_selected_dark="#333a42",
        color_accent="#0072B2",
        input_background_fill="#ffffff",
        input_background_fill_dark="#262b31",
        input_border_width="1px",
        input_border_color="#87909a",
        input_border_color_dark="#6b747e",
        link_text_color_dark="#74b8e1",
        table_even_background_fill_dark="#262b31",
        table_odd_background_fill_dark="#1d2126",
    )
    head = f'<meta name="color-scheme" content="light dark"><style>{media}</style>'
    return {
        "theme": theme,
        "css_paths": [HERE / "style" / "page.css"],
        "head": head + "".join(f'<script type="module">{script}</script>' for script in scripts),
    }


BLUES = (
    *("#eaf4fb", "#d2e8f6", "#a9d3ee", "#74b8e1", "#3c99d0", "#0072B2"),
    *("#00649c", "#005483", "#00456c", "#003656", "#002a43"),
)
"""Shades of the blue of the charts (Okabe and Ito)."""
