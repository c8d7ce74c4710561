"""`make bench-console`: how soon what happens at a service is on an open page of the console, in headless Chromium.

Twenty runs are submitted one after the other, and cancelled; and the yard is opened twenty times by a browser that has
nothing of it. A minute. Writes results/console.json.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import Caller, tracking, up  # noqa: E402
from programs import HOME, console, trainer  # noqa: E402
from report import at, ms, write  # noqa: E402
from screenshots import QUIET, chromium  # noqa: E402

TIMES = 20
RUN: dict[str, Any] = {
    "model": "idle",
    "params": {"rounds": 10_000},
    "data": {"source": "builtin", "name": "iris"},
}
NOTE = """() => {
  window.seen = {};
  const look = () => document.querySelectorAll("li[data-run]").forEach(row => {
    const ended = row.textContent.includes("cancelled");
    window.seen[row.dataset.run + (ended ? " ended" : "")] ??= Date.now();
  });
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
"""Notes when each run, and its end, was first there."""


def seen(page: Page, what: str) -> float:
    """When it came to be on the page, in seconds since the epoch."""
    page.wait_for_function("what => window.seen[what]", arg=what)
    return float(page.evaluate("what => window.seen[what]", what)) / 1000


def events(page: Page, caller: Caller) -> tuple[list[float], list[float]]:
    """Seconds from each submit, and from each end, until it is on the page."""
    begun, ended = [], []
    page.evaluate(NOTE)
    for _ in range(TIMES):
        run = caller.submit(RUN)
        begun.append(seen(page, run["run_id"]) - at(run["submitted_at"]))
        caller.http.delete(run["links"]["self"]).raise_for_status()
        ended.append(seen(page, f"{run['run_id']} ended") - at(caller.ended(run)["ended_at"]))
    return begun, ended


def opened(browser: Browser, address: str) -> float:
    """Seconds until the yard is there for a browser that has nothing of it."""
    page = browser.new_context().new_page()
    before = time.perf_counter()
    page.goto(address)
    page.get_by_role("row", name="boosting").wait_for()
    took = time.perf_counter() - before
    page.context.close()
    return took


def measured(browser: Browser, address: str, caller: Caller) -> dict[str, Any]:
    """All figures."""
    views = [opened(browser, address) for _ in range(TIMES)]
    page = browser.new_page()
    page.goto(address)
    page.get_by_text("Nothing runs.").wait_for()
    begun, ended = events(page, caller)
    return {
        "first_view_ms": ms(views),
        "submit_to_page_ms": ms(begun),
        "submit_to_page_at_most_ms": round(max(begun) * 1000, 1),
        "end_to_page_ms": ms(ended),
        "end_to_page_at_most_ms": round(max(ended) * 1000, 1),
        "goal": "first view <= 1 s, an event on the page <= 0.5 s",
    }


def main() -> None:
    """Start the servers and the browser, measure, write, stop."""
    name = "bench-console"
    with tracking() as tracking_uri:
        service = trainer(
            "boosting",
            port=free_port(),
            tracking_uri=tracking_uri,
            name=f"{name}-boosting",
            TRAINYARD_INSTANCE=name,
            TRAINYARD_CHANGES_A_MINUTE="0",
            TRAINYARD_MODELS_PATH=str(HERE / "models"),
        )
        api = f"http://127.0.0.1:{service.port}"
        pages = console(
            port=free_port(),
            TRAINYARD_SERVICES=f"boosting={api}",
            TRAINYARD_WORK_DIR=str(HOME / name),
        )
        with up(service), up(replace(pages, name=name)), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
            results = measured(browser, f"http://127.0.0.1:{pages.port}", Caller(api))
            browser.close()
    print(json.dumps(results, indent=2))
    write("console", results)


if __name__ == "__main__":
    main()
