"""Writes the images and subsets of the page "Explore frequencies", from images that come with scikit-image.

    python docs/draw_explore.py [FILE]

The file is docs/explore/examples.js without an argument. Images are part of the script, because browsers let no script
read the pixels of image files if a page is opened without a server.
"""

import base64
import io
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from skimage import data

from passband import as_tensor
from passband.io.image import to_pil
from passband.layers.channels import SUBSETS

SIDE = 256
"""Height and width of the images, in pixels."""
PHOTOS = (("Astronaut", "astronaut", 0, 110), ("Cat", "chelsea", 20, 120), ("Coffee", "coffee", 60, 170))
"""Label, name in scikit-image, first row and first column of each photo."""
NAMES = ("6", "24S", "24T", "48S", "64S", "192")
"""Subsets of the chooser."""


def main() -> None:
    """Write the file."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "explore" / "examples.js"
    images = [
        {"label": label, "address": address(to_pil(as_tensor(getattr(data, name)())[:, y : y + SIDE, x : x + SIDE]))}
        for label, name, y, x in PHOTOS
    ]
    images.append({"label": "Rings", "address": address(to_pil(rings().expand(3, -1, -1)))})
    content = {"IMAGES": images, "SUBSETS": {name: SUBSETS[name].indices() for name in NAMES}}
    target.write_text(
        "// Written by docs/draw_explore.py. The photos come with scikit-image: public domain and CC0.\n"
        f"const passbandExamples = {json.dumps(content)};\n",
        encoding="utf-8",
    )


def rings() -> torch.Tensor:
    """Return rings that become finer outward, up to the Nyquist frequency at the edges: a zone plate."""
    places = torch.arange(SIDE) - (SIDE - 1) / 2
    return 0.5 + 0.5 * torch.cos(torch.pi * (places[:, None].square() + places.square()) / SIDE)[None]


def address(image: Image.Image) -> str:
    """Return an image as an address that holds its content."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


if __name__ == "__main__":
    main()
