"""The console's process: pages, sign-in, and the guard before both."""

import logging
from functools import partial

from nicegui import app, ui
from pydantic import ValidationError
from starlette.middleware.gzip import GZipMiddleware
from trainyard import __version__
from trainyard.api.evenly import answer_evenly
from trainyard.api.hosts import KnownHosts

from trainyard_console.champions import champion_page, champions_page
from trainyard_console.entry import TheSession, install
from trainyard_console.frame import Page
from trainyard_console.missing import install as install_missing
from trainyard_console.run import run_of_some_service, run_page
from trainyard_console.sessions import Sessions
from trainyard_console.settings import Settings
from trainyard_console.sign_in import SignIn
from trainyard_console.train import train_page
from trainyard_console.usage import usage_page
from trainyard_console.yard import yard

GZIP_LEVEL = 5
"""A first view's files are 1 % larger than at 9, and take half the time to compress."""
RECONNECT_SECONDS = 15.0
"""How long a page is kept that cannot be reached; a browser on a busy machine is silent for seconds."""


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request is no news
    settings = _settings()
    build(settings)
    answer_evenly()
    ui.run(
        host=settings.host,
        port=settings.port,
        title="Trainyard",
        dark=None,
        language="en-US",
        tailwind=False,
        reload=False,
        show=False,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT_SECONDS,
        access_log=False,
        server_header=False,
        gzip_middleware_factory=partial(GZipMiddleware, compresslevel=GZIP_LEVEL),
    )


def build(settings: Settings) -> None:
    """The routes of NiceGUI's application."""
    sessions = Sessions(settings)
    app.add_middleware(KnownHosts, own={settings.host}, allowed=settings.allowed_hosts)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive", "trainyard": __version__}

    SignIn(sessions).install(app)
    install(app, sessions)
    install_missing(app)
    _add_pages()


def _add_pages() -> None:
    """Each page is a function of whose it is and of what its address says."""

    @ui.page("/")
    async def _yard(session: TheSession) -> None:
        yard(Page(session))

    @ui.page("/runs/{service}/{run_id}")
    async def _run(session: TheSession, service: str, run_id: str) -> None:
        await run_page(Page(session), service, run_id)

    @ui.page("/runs/{run_id}")
    async def _run_of_some_service(session: TheSession, run_id: str) -> None:
        await run_of_some_service(Page(session), run_id)

    @ui.page("/train")
    async def _train(session: TheSession, service: str = "", run: str = "") -> None:
        await train_page(Page(session), service, run)

    @ui.page("/champions")
    async def _champions(session: TheSession) -> None:
        await champions_page(Page(session))

    @ui.page("/usage")
    async def _usage(session: TheSession) -> None:
        await usage_page(Page(session))

    @ui.page("/champions/{name}")
    async def _champion(session: TheSession, name: str) -> None:
        await champion_page(Page(session), name)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        said = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        raise SystemExit(f"the console cannot start: {said}") from error
