"""Makes folders of shapes in COCO's format, and detectors of them with random weights."""

from passband.weights_io import save_weights
from tests.coco_files import box, disc, write_coco
from tests.models.detection.detectors import noisy_detector

CLASSES = ["disc", "box", "crowd of boxes"]
IDS = [3, 17, 90]


def write_shapes(root, count=4, size=(48, 64), suffix=".jpg"):
    """Write images with a disc each. Every second image also has a box."""
    discs = [disc(10 * number, number, 16 + 3 * number, 20, 9) for number in range(1, count + 1)]
    boxes = [box(10 * number + 1, number, 38, 24, 15 + number, 14) for number in range(1, count + 1, 2)]
    write_coco(root, dict.fromkeys(range(1, count + 1), size), [*discs, *boxes], suffix=suffix)
    return root


def save_detector(folder, **numbers):
    """Write the weights of a detector that finds many instances, and return the folder."""
    model = noisy_detector(**{"min_size": [48], "max_size": 80, **numbers})
    config = {"model": "dct-mask-rcnn-resnet18", **model.arguments}
    save_weights(model, folder, {**config, "preprocessing": {"category_ids": IDS}, "classes_named": CLASSES})
    return folder
