"""Makes small data sets of shapes in COCO's format, and silences COCO's own tool."""

import contextlib
import io
import json
import warnings

import numpy as np
from PIL import Image
from skimage.draw import ellipse

CATEGORIES = [{"id": 3, "name": "disc"}, {"id": 17, "name": "box"}, {"id": 90, "name": "crowd of boxes"}]


def box_polygon(left, top, width, height):
    return [left, top, left + width, top, left + width, top + height, left, top + height]


def disc_polygon(x, y, radius, points=24):
    angles = 2 * np.pi * np.arange(points) / points
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1).round(2).flatten().tolist()


def disc(number, image, x, y, radius, **more):
    """Return the annotation of a disc."""
    return (
        annotation(number, image, 3, [x - radius, y - radius, 2 * radius, 2 * radius], [disc_polygon(x, y, radius)])
        | more
    )


def box(number, image, left, top, width, height, **more):
    """Return the annotation of a box."""
    return annotation(number, image, 17, [left, top, width, height], [box_polygon(left, top, width, height)]) | more


def annotation(number, image, category, bbox, segmentation):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "area": float(bbox[2] * bbox[3]),
        "iscrowd": 0,
        "segmentation": segmentation,
    }


def runs(mask):
    """Return the uncompressed run-length encoding of a mask."""
    flat = np.concatenate([[0], mask.T.flatten().astype(int), [2]])
    changes = np.flatnonzero(np.diff(flat)) if mask.T.flatten()[0] == 0 else np.flatnonzero(np.diff(flat[1:])) + 1
    counts = np.diff(np.concatenate([[0], changes])).tolist()
    return {"size": list(mask.shape), "counts": counts if mask.T.flatten()[0] == 0 else [0, *counts]}


def write_coco(root, images, annotations, categories=CATEGORIES, part="train2017", suffix=".png"):
    """Write a folder with the layout of COCO, and return its annotations. `images` maps numbers to (height, width)."""
    folder = root / part
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (height, width) in images.items():
        name = f"{number:012d}{suffix}"
        Image.fromarray(drawn(height, width, [one for one in annotations if one["image_id"] == number])).save(
            folder / name, **({"quality": 95} if suffix == ".jpg" else {})
        )
        entries.append({"id": number, "file_name": name, "height": height, "width": width})
    content = {"images": entries, "annotations": annotations, "categories": categories}
    path = root / "annotations" / f"instances_{part}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def drawn(height, width, annotations):
    """Return an image of discs and boxes on a gray ground."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for one in annotations:
        left, top, across, down = (round(value) for value in one["bbox"])
        color = (240, 60, 40) if one["category_id"] == 3 else (40, 80, 230)
        if one["category_id"] == 3:
            rows, columns = ellipse(top + down / 2, left + across / 2, down / 2, across / 2, shape=(height, width))
            picture[rows, columns] = color
        else:
            picture[max(top, 0) : max(top + down, 0), max(left, 0) : max(left + across, 0)] = color
    return picture


def two_pictures(root, **options):
    """Write a data set of two images with odd sides, three instances and a crowd."""
    crowd = np.zeros((61, 47), bool)
    crowd[40:55, 5:30] = True
    annotations = [
        disc(11, 7, 20.0, 18.0, 9.0),
        box(12, 7, 30.0, 25.0, 12.0, 10.0),
        annotation(13, 7, 90, [5, 40, 25, 15], runs(crowd)) | {"iscrowd": 1},
        disc(14, 40, 33.0, 14.0, 8.0),
    ]
    return write_coco(root, {7: (61, 47), 40: (37, 68)}, annotations, **options)


@contextlib.contextmanager
def quietly():
    """Silence the output of COCO's own tool, and its warnings about deprecated uses of numpy."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
