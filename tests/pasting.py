"""Makes small folders of cut-outs and photographs."""

import numpy as np
from PIL import Image, ImageDraw

COLORS = {"ball": (220, 40, 30), "box": (30, 60, 220), "cone": (30, 200, 60)}


def write_cutouts(root, classes=tuple(COLORS), objects=3, side=40):
    """Write cut-outs of discs of one color per class, each object a little smaller than the one before."""
    for name in classes:
        for number in range(objects):
            image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
            draw = ImageDraw.Draw(image)
            draw.ellipse((number, number, side - 1 - number, side - 1 - number), fill=(*COLORS[name], 255))
            (root / name).mkdir(parents=True, exist_ok=True)
            image.save(root / name / f"object{number}_a.png")
    return root


def write_photos(root, count=4, size=(60, 80)):
    """Write gray photographs, whose gray level is their number."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(np.full((*size, 3), 100 + 10 * number, np.uint8)).save(root / f"photo{number}.png")
    return root
