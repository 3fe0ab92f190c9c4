"""The size of a picture by its header alone, so that thousands of files can be looked at before any is decoded."""

from pathlib import Path

from PIL import Image

from passband.io.image_kinds import HEAD, kind_of
from passband.io.quiet import without_warnings
from passband.io.webp import webp_size


@without_warnings()
def stored_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture file as stored, before any turn that its EXIF block asks for.

    Args:
        path: a PNG, JPEG, WebP, TIFF or BMP file.

    Returns:
        Pixels; None where the header does not tell: reading the picture says why.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            kind = kind_of(head)
            if kind is None or kind == "WEBP":
                return None if kind is None else webp_size(head)
            file.seek(0)
            # not `Image.open`, which has a limit of its own on the size
            return Image.OPEN[kind][0](file, str(path)).size
    except Exception:  # a damaged header makes a decoder raise anything
        return None
