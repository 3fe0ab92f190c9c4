"""The tab Runs: curves, samples and tables of runs, and reports of studies, live while they are made."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.run_folders import RunFacts, find_reports, find_runs, run_facts
from passband.app.html.results import Address

if TYPE_CHECKING:
    from passband.app.server import Server

SECONDS = 15.0
"""Time in seconds between two looks at a run that may still be training."""


def runs_tab(server: "Server") -> None:
    """Build the tab.

    Args:
        server: the running page.
    """
    folder = server.settings.runs
    if folder is None:
        gr.HTML(
            '<div class="pb-card"><p>This tab shows runs while they train, and the reports of studies. Start the page '
            "with their folder:</p><pre>passband app --runs runs/</pre></div>"
        )
        return
    runs = find_runs(folder)
    chosen = gr.Dropdown(
        list(runs), value=next(iter(runs), None), label="Run", elem_id="pb-run", info=f"Runs below {folder.name}"
    )
    content = gr.HTML(elem_id="pb-run-facts")
    reports = gr.HTML(elem_id="pb-reports")

    def show(name: str | None, request: gr.Request) -> list[Any]:
        runs = find_runs(folder)
        session = server.storage.session(request.session_hash)
        path = runs.get(name or "")
        facts = None if path is None else run_facts(path, session.folder / "curves")
        return [
            gr.update(choices=list(runs)),
            "<p>There is no run yet.</p>" if facts is None else facts_html(facts, server.storage.address),
            reports_html(find_reports(folder)),
        ]

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 2}
    outputs: list[Any] = [chosen, content, reports]
    gr.on(None, show, chosen, outputs, **quiet)  # when the page opens, and when another run is chosen
    gr.Timer(SECONDS).tick(show, chosen, outputs, **quiet)


def facts_html(facts: RunFacts, address: Address) -> str:
    """Return the curves, samples and last scores of a run.

    Args:
        facts: facts of the run.
        address: function from a file to its address.
    """
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.rows
    )
    parts = [f"<h2>{escape(facts.title)}</h2><table class='pb-table'>{rows}</table>"]
    if facts.curves is not None:
        alt = "Loss and scores of the run over its steps"
        parts.append(f'<img class="pb-figure" src="{address(facts.curves)}" alt="{alt}">')
    if facts.sample is not None:
        alt = "Samples of the last validation: degraded, restored and clean images, or their masks"
        parts.append(
            f'<h2>Samples of the last validation</h2><img class="pb-figure" src="{address(facts.sample)}" alt="{alt}">'
        )
    return f'<section class="pb-card" aria-label="Run">{"".join(parts)}</section>'


def reports_html(reports: dict[str, Path]) -> str:
    """Return links to reports.

    Args:
        reports: path of each report below the folder of runs, by its title.
    """
    if not reports:
        return ""
    links = "".join(
        f'<li><a href="passband/runs/{escape(str(path))}" target="_blank" rel="noopener">{escape(title)}</a></li>'
        for title, path in reports.items()
    )
    return f'<section class="pb-card" aria-label="Reports"><h2>Reports</h2><ul>{links}</ul></section>'
