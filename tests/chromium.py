"""Starts Chromium for tests of pages."""

import shutil

import pytest

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
)


def start(playwright):
    """Start the Chromium of the system, or fail the test with the way to install it."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.fail("The tests of pages need Chromium. Install it with: apt-get install chromium")
    return playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
