"""Turns classes, masks and instances into HTML for the page. All texts are escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from passband.app.html.frequencies import COMPONENTS
from passband.app.html.results import Address, download_link, viewer_of
from passband.app.work.tasks import Classes, Found, Mask

EMPTY = '<div class="pb-empty"><p><strong>The result for your image appears here.</strong></p></div>'


def classes(result: Classes) -> str:
    """Return the probabilities of classes as a table with bars, and the channels that the network used.

    Args:
        result: result of the classification.
    """
    rows = [
        (one.name, f"<span style='width:{100 * one.probability:.1f}%'></span>", f"{100 * one.probability:.1f} %")
        for one in result.guesses
    ]
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td class='pb-bar'>{bar}</td><td>{text}</td></tr>"
        for name, bar, text in rows
    )
    head = "<thead><tr><th scope='col'>Class</th><td></td><th scope='col'>Probability</th></tr></thead>"
    table = f"<table class='pb-table'>{head}<tbody>{body}</tbody></table>"
    return _card(table, _channels(result))


def segmented(result: Mask | Found, address: Address) -> str:
    """Return the viewer, a table and the download of a mask or of instances.

    Args:
        result: result of the segmentation or of the search for instances.
        address: function from a file to its address.
    """
    if isinstance(result, Mask):
        label, words = "Mask", "with its mask over it"
        rows = [(name, f"{100 * share:.1f} %") for name, share in result.shares.items()]
        table = _table(("Class", "Share of the image"), rows)
    else:
        label, words = "Instances", "with its instances drawn over it"
        rows = [(name, str(count)) for name, count in result.counts.items()]
        table = _table(("Class", "Instances"), rows) if rows else "<p>No instance has this score.</p>"
    images = [("Image", result.before, "The image"), (label, result.overlay, f"The image {words}")]
    viewer = viewer_of([(name, address(path), alternative) for name, path, alternative in images])
    return viewer + _card(table, download_link(address(result.file), result.file))


def _channels(result: Classes) -> str:
    """Return the map of the channels that a network used, and their numbers."""
    if not result.channels and not result.is_gated:
        return ""
    count = len(result.channels)
    title = f"Channels that the gate opened for this image: {count}" if result.is_gated else f"Channels: {count} of 192"
    always = "" if result.is_gated else "<p>This network takes the same channels of every image.</p>"
    maps = "".join(_map(number, name, result.channels) for number, name in enumerate(COMPONENTS))
    legend = "<p>Blue channels are used. Coarse patterns are at the top left, fine ones at the bottom right.</p>"
    numbers = f"<details><summary>Their numbers</summary><p>{', '.join(map(str, result.channels))}</p></details>"
    return f"<h2>{title}</h2>{always}{legend}<div class='pb-maps'>{maps}</div>{numbers if count else ''}"


def _map(component: int, name: str, channels: Sequence[int]) -> str:
    """Return the 64 channels of a component as squares with their numbers."""
    own = range(64 * component, 64 * component + 64)
    used = [number for number in own if number in channels]
    squares = "".join(
        f"<span class='pb-open'>{number}</span>" if number in used else f"<span>{number}</span>" for number in own
    )
    label = f"{name}: {len(used)} of 64"
    map_of_squares = f'<div class="pb-map" role="img" aria-label="{label} channels are used">{squares}</div>'
    return f"<figure>{map_of_squares}<figcaption>{label}</figcaption></figure>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with names in its first column."""
    titles = "".join(f"<th scope='col'>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table class='pb-table'><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _card(*parts: str) -> str:
    """Return the card of a result."""
    return f'<section class="pb-card" aria-label="Result">{"".join(parts)}</section>'
