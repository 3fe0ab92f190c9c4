"""Turns the frequencies of an image into HTML for the page. All texts are escaped."""

import base64
import zlib
from collections.abc import Sequence
from html import escape
from typing import Any

from passband.app.work.frequencies import ChannelsView, FiltersView, MosaicView, PartsView, SpectrumView
from passband.curriculum.ratio import DEFINITIONS

COMPONENTS = ("Brightness (Y)", "Blue (Cb)", "Red (Cr)")
"""Names of the mosaics."""
QUANTITIES = {
    "magnitude": "all amplitudes together",
    "energy": "the contrast energy",
    "radius": "the finest frequency",
    "area": "the number of frequencies",
}
"""Words for the quantity of each definition."""
INTRODUCTION = """<p class="pb-limits">An image is a sum of waves. Coarse waves carry shapes and colors; fine waves
carry edges, texture and noise. Drop a photo, or choose an example.</p>"""
EMPTY = '<div class="pb-empty"><p><strong>The frequencies of your photo appear here.</strong></p></div>'


def spectrum(view: SpectrumView, name: str) -> str:
    """Return the image, its spectrum and its curve.

    Args:
        view: spectrum of the image.
        name: name of the file.
    """
    size = f"{view.size[0]} x {view.size[1]} pixels"
    shown = f"{size}, shown reduced" if view.is_shrunk else size
    figures = [
        _figure(view.image, f"{name}", f"{name}, {shown}"),
        _figure(
            view.amplitude, f"Spectrum of {name}: bright in the middle, dark toward the edges. {view.title}.",
            "Spectrum. The middle holds coarse waves, the edges fine ones; bright means strong.", "png",
        ),
        _figure(
            view.curve, f"Curves of the mean amplitude over the fineness for brightness, blue and red. {view.text}",
            "Strength of each fineness. Brightness has more fine detail than color.", "png",
        ),
    ]  # fmt: skip
    return f"{_heading(view.title)}{_sentence(view.text)}{_grid(figures)}"


def parts(view: PartsView) -> str:
    """Return the low and the high part.

    Args:
        view: parts of the image.
    """
    figures, share = view.figures, view.figures["share_of_nyquist"]
    kept = f"the waves that are {2 / share:.3g} pixels or longer" if share else "no wave, but only the mean color"
    sentence = (
        f"A ratio of {100 * figures['ratio']:.0f} % by {view.definition} keeps {kept}: "
        f"{percent(figures['coefficients'])} of all waves, with {percent(figures['energy'])} of the contrast energy."
    )
    gain = f", {view.gain} times stronger" if view.gain > 1 else ""
    return _sentence(sentence) + _grid(
        [
            _figure(view.low, f"Low part: {sentence}", "Low part: shapes and colors"),
            _figure(view.high, "High part around gray", f"High part: edges, texture and noise{gain}"),
        ]
    )


def definitions(views: Sequence[PartsView]) -> str:
    """Return the low parts by all definitions.

    Args:
        views: low parts of the image.
    """
    figures = []
    for view in views:
        kept = f"{percent(view.figures['coefficients'])} of all waves, {percent(view.figures['energy'])} of the energy"
        caption = f"{view.definition}: share of {QUANTITIES[view.definition]}. Keeps {kept}."
        figures.append(_figure(view.low, f"Low part by {caption}", caption))
    return _grid(figures)


def mosaic(view: MosaicView) -> str:
    """Return the mosaics, with a button for each channel.

    Args:
        view: channels of the image.
    """
    source = "The JPEG file stores these numbers." if view.is_stored else "They are computed from pixels."
    figures = []
    for number, (name, content) in enumerate(zip(COMPONENTS, view.mosaics, strict=True)):
        buttons = "".join(_button(row) for row in view.rows[64 * number : 64 * number + 64])
        label = f"{name}: 64 channels, coarse at the top left, fine at the bottom right"
        figures.append(
            f'<figure class="pb-shown"><div class="pb-cells"><img alt="" src="{_data(content, "png")}">'
            f'<div role="group" aria-label="{escape(label)}">{buttons}</div></div>'
            f"<figcaption>{escape(name)}</figcaption></figure>"
        )
    hint = f"Click channels to choose them, or use the arrow keys and the space bar. {source}"
    view_key = zlib.crc32(view.mosaics[0])
    grid = f'<passband-mosaic view="{view_key}">{_grid(figures)}</passband-mosaic>'
    return f'<p class="pb-limits">{hint}</p>{grid}'


def channels(view: ChannelsView, *, is_picked: bool = False) -> str:
    """Return the image of the chosen channels.

    Args:
        view: image of the channels.
        is_picked: whether a person picked them in the mosaic, which then shows them already.
    """
    images = [
        _figure(view.rebuilt, f"Image of the chosen channels alone. {view.title}.", "The framed channels alone"),
        _figure(view.whole, "Image of all channels", "All channels"),
    ]
    numbers = ",".join(map(str, view.chosen))
    marks = "" if is_picked else f'<passband-chosen channels="{numbers}"></passband-chosen>'
    return f"{_heading(view.title)}{_sentence(view.text)}{_grid(images)}{marks}"


def filters(view: FiltersView) -> str:
    """Return the figure of the filters, and a table with the same figures.

    Args:
        view: filters of the network.
    """
    rows = "".join(
        f"<tr><th scope='row'>{escape(row['block'])}</th><td>{row['kernel_size']} x {row['kernel_size']}</td>"
        f"<td>{100 * row['cutoff']:.0f} %</td><td>{100 * row['attention_low']:.0f} %</td>"
        f"<td>{100 * row['attention_high']:.0f} %</td></tr>"
        for row in view.rows
    )
    head = "".join(
        f"<th scope='col'>{name}</th>"
        for name in ("Block", "Filter", "Half passes at, of the finest", "Weight of coarse", "Weight of fine")
    )
    figure = _figure(view.figure, f"Kernels, responses and weights of each block. {view.title}. {view.text}", "", "png")
    return (
        f"{_heading(view.title)}{_sentence(view.text)}<div class='pb-wide' tabindex='0' role='region' "
        f"aria-label='Filters of the network'>{figure}</div><div class='pb-wide' tabindex='0' role='region' "
        f"aria-label='Table of the filters'><table class='pb-facts'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
        "</table></div>"
    )


def percent(share: float) -> str:
    """Return a share in percent, without rounding a part to nothing or to the whole.

    Args:
        share: share from 0 to 1.
    """
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if 0.999 < share < 1 else f"{100 * share:.1f} %"


def _figure(content: bytes, alternative: str, caption: str, kind: str = "jpeg") -> str:
    """Return a picture that the page holds itself."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = f'<img alt="{escape(alternative)}" src="{_data(content, kind)}">'
    return f'<figure class="pb-shown">{image}{below}</figure>'


def _button(row: dict[str, Any]) -> str:
    """Return the button of a channel, whose label says where it is and how strong."""
    strength = f"{percent(row['energy'])} of the energy" if row["stored"] else "not in this file"
    label = f"Channel {row['channel']}, {row['component']}, v {row['v']}, u {row['u']}: {strength}"
    return (
        f'<button type="button" data-channel="{row["channel"]}" aria-pressed="false" title="{label}" '
        f'aria-label="{label}"></button>'
    )


def _data(content: bytes, kind: str) -> str:
    """Return the content of an image file as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _grid(figures: Sequence[str]) -> str:
    """Return pictures side by side, or below each other where there is no room."""
    return f'<div class="pb-grid">{"".join(figures)}</div>'


def _heading(text: str) -> str:
    """Return a heading."""
    return f"<h3>{escape(text)}</h3>"


def _sentence(text: str) -> str:
    """Return a paragraph that is read out when it changes."""
    return f'<p class="pb-said" role="status">{escape(text)}</p>'


DEFINITION_CHOICES = [(f"{name} (share of {QUANTITIES[name]})", name) for name in DEFINITIONS]
"""Labels and names of the definitions."""
