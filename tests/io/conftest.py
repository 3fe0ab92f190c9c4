"""Fixtures for the tests of JPEG coefficients."""

import pytest

from passband.io.jpeg import engine as jpeg_engine
from tests.io.jpeg.jpeg_files import ENGINES


@pytest.fixture(params=list(ENGINES))
def engine(request, monkeypatch):
    """Run a test with both engines that read coefficients."""
    monkeypatch.setattr(jpeg_engine, "engine", lambda: ENGINES[request.param])
    return request.param
