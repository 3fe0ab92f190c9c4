"""The tab Runs: curves, samples and tables of runs, and reports of studies, live while they are made."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from passband.app.files.run_folders import find_reports, find_runs
from passband.app.html.results import problem
from passband.app.html.runs import facts_html, reports_html
from passband.app.tabs.parts import QUIET
from passband.app.work.runs import RunRequest

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
            'with their folder:</p><pre tabindex="0">passband app --runs runs/</pre></div>'
        )
        return
    runs = find_runs(folder)
    chosen = gr.Dropdown(
        list(runs), value=next(iter(runs), None), label="Run", elem_id="pb-run", info=f"Runs below {folder.name}"
    )
    content = gr.HTML(elem_id="pb-run-facts")
    reports = gr.HTML(elem_id="pb-reports")

    async def show(name: str | None, request: gr.Request) -> list[Any]:
        runs = find_runs(folder)
        session = server.storage.session(request.session_hash)
        shown = "<p>There is no run yet.</p>"
        if (path := runs.get(name or "")) is not None:
            job = await server.jobs.finish(session.key, RunRequest(path, session.folder / "curves"))
            shown = problem(job.error) if job.error else facts_html(job.result, server.storage.address)
        return [gr.update(choices=list(runs)), shown, reports_html(find_reports(folder))]

    outputs: list[Any] = [chosen, content, reports]
    gr.on(None, show, chosen, outputs, **QUIET)  # when the page opens, and when another run is chosen
    gr.Timer(SECONDS).tick(show, chosen, outputs, **QUIET)
