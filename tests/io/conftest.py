"""What the tests of JPEG coefficients share."""

import pytest

from passband.io.jpeg import engine as jpeg_engine
from tests.io.jpeg.jpeg_files import ENGINES


@pytest.fixture(params=list(ENGINES))
def engine(request, monkeypatch):
    """Both ways to read coefficients, one after the other."""
    monkeypatch.setattr(jpeg_engine, "engine", lambda: ENGINES[request.param])
    return request.param
