"""Shows the spectrum of a result before and after restoration."""

from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from passband.app.files.checks import UploadError
from passband.app.html import results as markup
from passband.app.tabs.parts import run_request
from passband.app.work.restoring import Result
from passband.app.work.tasks import ChangeRequest, Picture

if TYPE_CHECKING:
    from passband.app.server import Server


async def spectrum_html(
    server: "Server", key: str | None, result: Result, clean: str | Path | None
) -> AsyncIterator[str]:
    """Measure the spectrum of the last restored file of a result, and yield the progress and the picture as HTML.

    Args:
        server: the running page.
        key: session hash of the person; None counts as one common person.
        result: result of the same session.
        clean: path of the upload of the clean version; None if there is none.
    """
    session, pixels = server.storage.session(key), server.settings.limits.image_pixels
    try:
        truth = None if clean is None else server.storage.take(session, clean)
    except UploadError as error:
        yield markup.problem(str(error))
        return
    request = ChangeRequest(result.source, result.files[-1].target, session.new_folder("out"), truth, pixels)
    async for progress, picture in run_request(server, key, request, "measured", "pb-spectrum-result"):
        yield progress if picture is None else picture_html(picture, server.storage.address)


def picture_html(picture: Picture, address: "markup.Address") -> str:
    """Return a picture with its sentences and its table.

    Args:
        picture: picture and sentences.
        address: function from a file to its address.
    """
    title, *sentences = picture.sentences
    parts = [f"<h2>{escape(title)}</h2>", *(f"<p>{escape(sentence)}</p>" for sentence in sentences)]
    if picture.path is not None:
        parts.append(f'<img class="pb-figure" src="{address(picture.path)}" alt="{escape(title)}">')
    if picture.table is not None:
        parts.append(markup.download_link(address(picture.table), picture.table))
    return f'<section aria-label="Spectrum">{"".join(parts)}</section>'
