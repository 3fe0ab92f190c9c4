"""Turns results into HTML for the page. All texts are escaped."""

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from passband.app.files.checks import shown_name
from passband.app.files.uploads import Storage
from passband.app.html.words import done, duration, findings
from passband.app.work.jobs import Job
from passband.app.work.restoring import Moment, Result
from passband.naming import by_kind, counted

Address = Callable[[Path], str]
"""Function from a file to its address."""
EMPTY = """<div class="pb-empty"><p><strong>Your photo appears here,</strong> before and after, with a line to drag.</p>
<p>Drop a photo, or try an example. The work begins at once.</p></div>"""


def viewer(result: Result, storage: Storage) -> str:
    """Return the before/after viewer of a result.

    Args:
        result: the result.
        storage: files of the page.
    """
    name = shown_name(result.source)
    sources = [("Before", storage.address(result.files[0].before), f"{name} before restoration")]
    for asked, restored in zip(result.asked, result.files, strict=True):
        label = restored.weights or "left alone"
        label = f"{label} (auto)" if asked == "auto" else label if restored.weights is None else asked
        sources.append((label, storage.address(restored.after), f"{name} restored by {label}"))
    return viewer_of(sources, left=1 if len(result.files) > 1 else 0)


def viewer_of(sources: Sequence[tuple[str, str, str]], left: int = 0) -> str:
    """Return a viewer that compares images.

    Args:
        sources: label, address and text alternative of each image.
        left: number of the image on the left; the last one is on the right.
    """
    images = [dict(zip(("label", "src", "alt"), source, strict=True)) for source in sources]
    return (
        f'<passband-viewer left="{left}" right="{len(images) - 1}" sources="{escape(json.dumps(images))}">'
        "</passband-viewer>"
    )


def details(result: Result, storage: Storage) -> str:
    """Return what was found and done, the notes, and the downloads.

    Args:
        result: the result.
        storage: files of the page.
    """
    first = result.files[0]
    size = f"{first.size[0]} x {first.size[1]} pixels" if all(first.size) else ""
    lines = [f"<h2>{escape(shown_name(result.source))} <small>{size}</small></h2>"]
    inspected = dict(zip(result.asked, result.files, strict=True)).get("auto", first)  # others try no networks
    lines += [f'<p class="pb-finding">{escape(text)}</p>' for text in findings(inspected)]
    for asked, restored in zip(result.asked, result.files, strict=True):
        lines.append(f"<p>{escape(done(restored, asked, result.options.strength))}</p>")
    notes = by_kind(note for restored in result.files for note in restored.notes)
    if notes:
        items = "".join(f"<li>{escape(_capital(note))}</li>" for note, *_ in notes.values())
        lines.append(f'<ul class="pb-notes" aria-label="Notes">{items}</ul>')
    if first.is_video:
        lines.append("<p>The viewer shows the first frame of the video. The download has all frames.</p>")
    for restored in result.files:
        lines.append(download_link(storage.address(restored.target), restored.target))
    return f'<section class="pb-card" aria-label="Result">{"".join(lines)}</section>'


def archive_link(token: str, count: int) -> str:
    """Return the link to an archive of all results; empty for fewer than two.

    Args:
        token: token of the session.
        count: number of results.
    """
    if count < 2:
        return ""
    return (
        f'<p><a class="pb-download pb-quiet" href="passband/zip/{token}/restored.zip" download="restored.zip">'
        f"Download all {count} results as a ZIP archive</a></p>"
    )


def status(moment: Moment, verb: str = "restored", place: str = "pb-viewer") -> str:
    """Return the progress or the end of work, and the problems of files.

    Args:
        moment: state of the work.
        verb: participle that says what is done with the files.
        place: identifier of the element that shows the result.
    """
    jobs = moment.jobs
    running = [job for job in jobs if not job.is_over]
    done = [job for job in jobs if job.state == "done"]
    said, bar = "", ""
    if running:
        over = len(jobs) - len(running)
        share = (over + sum(job.share or 0.0 for job in running)) / len(jobs)
        known = over or any(job.share is not None for job in running)
        value = f' value="{share:.3f}"' if known else ""
        bar = f'<progress aria-label="Progress"{value}></progress>'
        said = f"<p>{_progress_text(jobs, running, over, verb)}</p>"
    elif done:
        said = end(_end_text(done, verb), place)
    return state(said, *dict.fromkeys(moment.problems), bar=bar)  # all canceled files have the same


def state(said: str = "", *problems: str, bar: str = "") -> str:
    """Return the state of the work.

    Its first element is always the one that is read out when it changes, so that Gradio keeps this element in place.

    Args:
        said: HTML of the progress or of the end.
        problems: sentences.
        bar: HTML of the bar of the progress.
    """
    shown = "".join(problem(sentence) for sentence in problems)
    return f'<div class="pb-progress"><div role="status">{said}</div>{bar}</div>{shown}'


def end(sentence: str, place: str) -> str:
    """Return a sentence about finished work with a link to its result, which a phone shows far below.

    Args:
        sentence: sentence that says what was done.
        place: identifier of the element that shows the result.
    """
    return f'<p>{escape(sentence)} <a href="#{place}">Show the result</a></p>'


def problem(sentence: str) -> str:
    """Return a problem as the page shows it.

    Args:
        sentence: reason and advice.
    """
    return f'<p class="pb-problem" role="alert">{escape(_capital(sentence))}</p>'


def _progress_text(jobs: Sequence[Job], running: Sequence[Job], over: int, verb: str) -> str:
    """Say in HTML how far the work is, and how long it will take, which is not read out again and again."""
    job = next((one for one in running if one.state == "running"), running[0])
    name = escape(job.request.name)
    if job.state == "waiting":
        before = f", after {counted(job.ahead, 'other file')}" if job.ahead else ""
        return f"{name} waits for its turn{before}."
    text = f"{name} is being {verb}"
    if job.seconds_left is not None and job.seconds_left >= 1:
        text = f'{text}<span aria-hidden="true">, about {duration(job.seconds_left)} left</span>'
    if job.limit:
        text = f"{text}. This page ends the work on a file after {job.limit}"
    return f"{over} of {len(jobs)} done. {text}." if len(jobs) > 1 else f"{text}."


def _end_text(done: Sequence[Job], verb: str) -> str:
    """Say what was done with the files; a file that is compared has two jobs."""
    changed = {job.request.source for job in done if getattr(job.result, "weights", verb) is not None}
    left = {job.request.source for job in done} - changed
    if len(changed) + len(left) == 1:
        return f"{done[0].request.name} is {verb if changed else 'left alone'}."
    counts = {verb: len(changed), "left alone": len(left)}
    parts = [f"{counted(count, 'file is', 'files are')} {word}" for word, count in counts.items() if count]
    return f"{', and '.join(parts)}."


def download_link(address: str, path: Path) -> str:
    """Return a link that downloads a file.

    Args:
        address: address of the file.
        path: path of the file.
    """
    size = path.stat().st_size
    amount = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{max(1, size / 1e3):.0f} KB"
    link = f'href="{escape(address)}?download=1" download="{escape(path.name)}"'
    return f'<p><a class="pb-download" {link}>Download {escape(shown_name(path))} <small>{amount}</small></a></p>'


def _capital(sentence: str) -> str:
    """Begin a sentence with a capital letter, unless it begins with a name, and end it with a full stop."""
    first = sentence.split(" ", 1)[0]
    is_name = not first.isalpha()
    ended = sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
    return ended if is_name else ended[:1].upper() + ended[1:]
