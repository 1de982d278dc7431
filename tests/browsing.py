"""A headless Chromium for tests of pages, or a skipped test that says what is missing."""

import gc
import shutil
import warnings
from contextlib import contextmanager

import pytest

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@contextmanager
def launched(flags=FLAGS):
    """Yield the browser; its pipes are cleared away so that no later test is blamed for them."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = [shutil.which(n) for n in ("chromium", "chromium-browser", "google-chrome")]
    if not any(found):
        pytest.skip("no chromium on this machine")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=next(filter(None, found)), args=flags)
        yield chromium
        chromium.close()
    # Playwright leaves the pipes of its driver to the collector, which would blame a later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
