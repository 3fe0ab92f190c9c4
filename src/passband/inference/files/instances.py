"""Writes the instances in many images into one file in COCO's format."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passband.io.files import write_whole

INSTANCES_FILE = "instances.json"
"""Name of the file that holds the instances of all images."""


class InstancesFile:
    """Collects the instances of all images for instances.json.

    Args:
        category_ids: number of each category.
        classes: name of each category.
    """

    def __init__(self, category_ids: Sequence[int], classes: Sequence[str]):
        self._number = 0
        self._content: dict[str, list[Any]] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": number, "name": name} for number, name in zip(category_ids, classes, strict=True)],
        }

    def add(self, name: str, answer: dict[str, Any] | None) -> None:
        """Add the next image.

        Args:
            name: path or address of the image.
            answer: answer of `InstanceFinder.coco_answer`; None if the file failed, which leaves out its number.
        """
        self._number += 1
        if answer is None:
            return
        size = {"height": answer["height"], "width": answer["width"]}
        self._content["images"].append({"id": self._number, "file_name": name, **size})
        annotations = self._content["annotations"]
        for one in answer["annotations"]:
            annotations.append({"id": len(annotations) + 1, **one, "image_id": self._number})

    def write(self, path: Path) -> None:
        """Write the file, completely or not at all.

        Args:
            path: path of the file.

        Raises:
            OSError: if it cannot be written.
        """
        with write_whole(path) as temporary:
            temporary.write_text(json.dumps(self._content) + "\n", encoding="utf-8")
