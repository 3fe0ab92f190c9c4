"""What an XMP packet says about the image around it, kept true when that image changes.

The packet is changed as text, so that all else in it stays as its author wrote it. Source: XMP specification, parts 1
to 3.
"""

import re

_THUMBNAILS = re.compile(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", re.DOTALL)
_GAIN_MAP = (
    re.compile(rb"<(Container|GContainer):Directory>.*?</\1:Directory>", re.DOTALL),
    re.compile(rb"\s(?:hdrgm|HDRGainMap|apdi):\w+\s*=\s*(\"[^\"]*\"|'[^']*')"),
)


def upright_xmp(xmp: bytes) -> bytes:
    """Say that the image is upright, where the packet says how it lies.

    Args:
        xmp: a packet.
    """
    return _replaced(xmp, b"tiff:Orientation", 1)


def fitted_xmp(xmp: bytes, width: int, height: int) -> bytes:
    """Give the sizes of the image where the packet has sizes, and take thumbnails of the old image out.

    Args:
        xmp: a packet.
        width: in pixels.
        height: in pixels.
    """
    for name in (b"tiff:ImageWidth", b"exif:PixelXDimension"):
        xmp = _replaced(xmp, name, width)
    for name in (b"tiff:ImageLength", b"exif:PixelYDimension"):
        xmp = _replaced(xmp, name, height)
    return _THUMBNAILS.sub(b"", xmp)


def without_gain_map(xmp: bytes) -> bytes:
    """Take out what describes further images of the file, such as a gain map for HDR screens, which is not kept."""
    for pattern in _GAIN_MAP:
        xmp = pattern.sub(b"", xmp)
    return xmp


def _replaced(xmp: bytes, name: bytes, value: int) -> bytes:
    number = str(value).encode()
    xmp = re.sub(rb"(\s" + name + rb"\s*=\s*[\"'])\s*\d+\s*([\"'])", rb"\g<1>" + number + rb"\g<2>", xmp)
    return re.sub(rb"(<" + name + rb">)\s*\d+\s*(</)", rb"\g<1>" + number + rb"\g<2>", xmp)
