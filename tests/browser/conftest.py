"""A browser for the page's tests, pages opened in it, and a scan of them for accessibility."""

from __future__ import annotations

import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium")
SWITCHES = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def missing(what):
    """Skip where a program or package is missing; in CI, where all are installed, fail."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the page is tested in a browser, and {what} is not installed")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        missing("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens a page; by the end there must be no message on the console, no dialog, and no request but for the file."""
    seen, contexts = [], []

    def opened(path, size=(1280, 800), scheme="light", **settings):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (seen.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or seen.append(f"request: {request.url}"))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not seen


@pytest.fixture
def axe_findings():
    """Violations of axe's accessibility rules on a page."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-playwright-python")

    def axe_findings(page):
        violations = Axe().run(page).response["violations"]
        return [
            (v["id"], v["impact"], [node["html"][:120] for node in v["nodes"]][:3]) for v in violations if v["impact"] in ("serious", "critical", "moderate")
        ]

    return axe_findings
