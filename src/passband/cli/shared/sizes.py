"""Sizes of images in options: `width x height` in pixels, as cameras and videos state them."""


def parse_size(size: str) -> tuple[int, int]:
    """Return the height and the width of a size: `1280x720` gives (720, 1280), and `56` a square.

    Args:
        size: width x height, or the side of a square, in pixels.

    Raises:
        ValueError: if the text is neither one side nor two sides.
    """
    sides = size.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise ValueError(f"--size is WIDTHxHEIGHT in pixels, such as 1280x720, or one side, such as 512; got {size!r}")
    return int(sides[-1]), int(sides[0])
