"""The page about services: its example runs as it is written."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from passband.inference import Restorer
from passband.io.image import ImageError
from tests.documents import DOCS, blocks


def test_the_example_of_the_page_answers_with_the_restored_image(photograph):
    names = {}
    for language, text in blocks(DOCS / "service.md"):
        assert language == "python"
        exec(compile(text, "service.md", "exec"), names)
    image = Image.fromarray((255 * photograph[:, :20, :31].movedim(0, -1)).byte().numpy())
    file = io.BytesIO()
    image.save(file, "PNG")
    restored = Image.open(io.BytesIO(names["answer"](file.getvalue())))
    np.testing.assert_array_equal(np.asarray(restored), np.asarray(names["restorer"](image)))
    with pytest.raises(ImageError, match="the content is not a PNG"):
        names["answer"](b"no image")


def test_a_report_that_raises_an_error_ends_a_restoration_and_the_restorer_stays_usable(tiny_weights):
    class CancelledError(Exception):
        pass

    def cancel(share):
        raise CancelledError

    restorer = Restorer(tiny_weights, "cpu", precision="float32")
    image = torch.rand(1, 3, 800, 800)  # large enough for bands
    with pytest.raises(CancelledError):
        restorer.restore(image, cancel)
    small = image[..., :24, :24]
    torch.testing.assert_close(
        restorer.restore(small), Restorer(tiny_weights, "cpu", precision="float32").restore(small)
    )
