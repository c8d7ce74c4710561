"""A real console over a real service, opened in a real browser; all tests here share them."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from servers import ROOT, Server, Yard, free_port, service_over, tidied, until, yard_of

TOKEN = "a token of the console's tests"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Opened = Callable[..., Page]
LONGEST_MS = 20_000
"""For what is waited for on a page: a machine that does much else has its time."""
expect.set_options(timeout=LONGEST_MS)


@pytest.fixture(scope="session")
def lasting_yard(
    mlflow_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    tokens: dict[str, str],
    tokens_file: Path,
    data_root: Path,
) -> Iterator[Yard]:
    """A service that asks for a token."""
    home = tmp_path_factory.mktemp("seen")
    assert tokens
    server = service_over(
        mlflow_server,
        home,
        TRAINYARD_TOKEN=TOKEN,
        TRAINYARD_TOKENS_FILE=str(tokens_file),
        TRAINYARD_QUEUE="50",
        TRAINYARD_DATA_ROOTS=str(data_root),
    )
    server.ready = "/healthz"
    for yard in yard_of(server, mlflow_server, home):
        yard.http.headers["Authorization"] = f"Bearer {TOKEN}"
        until(lambda yard=yard: yard.http.get("/readyz").status_code == 200, "readiness")
        yield yard


@pytest.fixture
def shared_yard(lasting_yard: Yard) -> Yard:
    """The service, with no run under way."""
    return tidied(lasting_yard)


@pytest.fixture(scope="session")
def console(lasting_yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The console over that service, and over one that is away."""
    home = tmp_path_factory.mktemp("console")
    port = free_port()
    services = f"boosting={lasting_yard.service.url},absent=http://127.0.0.1:{free_port()}"
    environment = {
        "TRAINYARD_PORT": str(port),
        "TRAINYARD_SERVICES": services,
        "TRAINYARD_WORK_DIR": str(home),
    }
    # NiceGUI behaves otherwise where it takes itself for a test.
    program = ROOT / ".venvs/console/bin/trainyard-console"
    command = ["env", "--unset=PYTEST_CURRENT_TEST", program]
    server = Server(command, environment, port, "/healthz", home / "console.log")
    server.start()
    yield server
    server.kill(signal.SIGTERM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names.

    For one file of tests: while it is open an event loop runs in this thread, and no other can.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium here: install the package chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, console: Server, tokens: dict[str, str]) -> Iterator[Opened]:
    """Opens a page as one of PEOPLE, or as nobody; nothing that it loads may come from elsewhere."""
    contexts: list[BrowserContext] = []
    foreign: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((console.url, console.url.replace("http", "ws"), "data:")):
            foreign.append(request.url)

    def open_(path: str = "/", *, person: str | None = "ada", **options: object) -> Page:
        context = browser.new_context(base_url=console.url, **options)
        contexts.append(context)
        if person is not None:
            context.add_cookies([signed_in(console, tokens[person])])
        page = context.new_page()
        page.set_default_timeout(LONGEST_MS)
        page.on("request", note)
        page.goto(path)
        page.wait_for_function("!document.querySelector('#app') || window.did_handshake")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert foreign == []


def signed_in(console: Server, token: str) -> dict[str, str]:
    """The cookie of somebody who has signed in."""
    answer = httpx.post(f"{console.url}/sign-in", data={"token": token}, timeout=30)
    ((name, value),) = answer.cookies.items()
    return {"name": name, "value": value, "url": console.url}
