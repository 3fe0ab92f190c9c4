"""Updates the statements of an XMP packet about its image when the image changes.

The packet is changed as text, so that everything else stays as its author wrote it. Source: XMP specification, parts 1
to 3.
"""

import re
from xml.sax.saxutils import escape

_THUMBNAILS = re.compile(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", re.DOTALL)
_CREATOR = (
    re.compile(rb"(\sxmp:CreatorTool\s*=\s*\")[^\"]*(\")"),
    re.compile(rb"(\sxmp:CreatorTool\s*=\s*')[^']*(')"),
    re.compile(rb"(<xmp:CreatorTool>)[^<]*(</)"),
)
_GAIN_MAP = (
    re.compile(rb"<(Container|GContainer):Directory>.*?</\1:Directory>", re.DOTALL),
    re.compile(rb"\s(?:hdrgm|HDRGainMap|apdi):\w+\s*=\s*(\"[^\"]*\"|'[^']*')"),
)


def upright_xmp(xmp: bytes) -> bytes:
    """Set the orientation in a packet to upright, if the packet states one.

    Args:
        xmp: packet as text in UTF-8.
    """
    return _replace_value(xmp, b"tiff:Orientation", 1)


def fitted_xmp(xmp: bytes, width: int, height: int) -> bytes:
    """Set the sizes in a packet to those of the image, and remove thumbnails of the old image.

    Args:
        xmp: packet as text in UTF-8.
        width: width of the image, in pixels.
        height: height of the image, in pixels.
    """
    for name in (b"tiff:ImageWidth", b"exif:PixelXDimension"):
        xmp = _replace_value(xmp, name, width)
    for name in (b"tiff:ImageLength", b"exif:PixelYDimension"):
        xmp = _replace_value(xmp, name, height)
    return _THUMBNAILS.sub(b"", xmp)


def with_creator(xmp: bytes, software: str) -> bytes:
    """Set the program that made the file in a packet, if the packet states one.

    Args:
        xmp: packet as text in UTF-8.
        software: name of the program.
    """
    name = escape(software, {'"': "&quot;", "'": "&apos;"}).encode()
    for attribute in _CREATOR:
        xmp = attribute.sub(lambda match: match[1] + name + match[2], xmp)
    return xmp


def without_gain_map(xmp: bytes) -> bytes:
    """Remove statements about further images in the file, such as a gain map for HDR screens, which is not kept.

    Args:
        xmp: packet of XMP.
    """
    for pattern in _GAIN_MAP:
        xmp = pattern.sub(b"", xmp)
    return xmp


def _replace_value(xmp: bytes, name: bytes, value: int) -> bytes:
    number = str(value).encode()
    xmp = re.sub(rb"(\s" + name + rb"\s*=\s*[\"'])\s*\d+\s*([\"'])", rb"\g<1>" + number + rb"\g<2>", xmp)
    return re.sub(rb"(<" + name + rb">)\s*\d+\s*(</)", rb"\g<1>" + number + rb"\g<2>", xmp)
