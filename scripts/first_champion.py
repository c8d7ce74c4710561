"""Takes the pictures of the way to a first champion, as a person goes it by mouse alone: `first_champion.py FOLDER`.

Over what `make serve` has started, at CONSOLE_URL, where nobody asks for a token; CHROMIUM names the browser. Nothing is
typed: each step is a click on what the picture before it shows. Says how long it took.
"""

import sys
import time
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright
from screenshots import CONSOLE, QUIET, chromium, shoot

PATIENCE_MS = 60_000
MODEL, DATA, METRIC = "xgboost_classifier", "breast_cancer", "test_roc_auc"
REGISTERED = "breast-cancer-xgboost-classifier"


class Walk:
    """A person's clicks, and a picture of what they see before each that counts."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self._folder = folder
        self._taken = 0

    def see(self, what: Locator) -> None:
        """Wait until it is there, and take the next picture."""
        expect(what).to_be_visible()
        self._taken += 1
        shoot(self.page, self._folder / f"first-champion-{self._taken}.png")

    def pick(self, label: str, option: str) -> None:
        """One of what can be chosen."""
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def pick_named(self, label: str, name: str) -> None:
        """One of the names beside a text field."""
        self.press(f"choose {label}")
        self.page.get_by_role("menuitem", name=name, exact=True).click()

    def press(self, name: str) -> None:
        """A button."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        """A link."""
        self.page.get_by_role("link", name=name, exact=True).first.click()


def go(walk: Walk) -> None:
    """From the yard as it is to a champion."""
    page = walk.page
    page.goto(CONSOLE)
    walk.see(page.get_by_role("row", name="boosting"))
    walk.follow("Train")
    walk.pick("Model", MODEL)
    walk.pick("Name", DATA)
    walk.press("Look at the data")
    walk.see(page.get_by_text("rows were looked at"))
    walk.pick_named("Register as", REGISTERED)
    walk.pick_named("Promote to champion by", METRIC)
    page.get_by_role("button", name="Train", exact=True).scroll_into_view_if_needed()
    walk.see(page.get_by_role("button", name="Train", exact=True))
    walk.press("Train")
    page.wait_for_url("**/runs/**")
    expect(page.get_by_text("finished", exact=True).first).to_be_visible()
    walk.see(page.get_by_label("curves of log_loss, 100 points").locator("canvas"))
    walk.follow("Champions")
    walk.follow(REGISTERED)
    walk.see(page.get_by_text("champion", exact=True).first)


def main() -> None:
    """Go the way, and say how long it took."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        page = browser.new_page(viewport={"width": 1000, "height": 680})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        before = time.monotonic()
        go(Walk(page, folder))
        print(f"from the yard to a champion in {time.monotonic() - before:.0f} s")
        browser.close()


if __name__ == "__main__":
    main()
