"""Turns the facts of runs and the reports of studies into HTML for the page. All texts are escaped."""

from html import escape
from pathlib import Path

from passband.app.html.results import Address
from passband.app.work.runs import RunFacts


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
