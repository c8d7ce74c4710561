"""Who gets in, how long, and what a foreign page can have of it."""

import re

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from servers import Server, Yard
from trainyard.contract import Role
from trainyard.people.tokens import read_tokens, write_tokens
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
ELSEWHERE = "http://pages.example.com"


def test_a_token_opens_the_yard_by_keyboard_alone_and_a_wrong_one_does_not(opened, tokens):
    narrow = {"width": 400, "height": 900}
    page = opened("/train", person=None, viewport=narrow, color_scheme="dark")
    expect(page).to_have_url(re.compile("/sign-in"))
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type("no-such-token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No service takes this token")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(tokens["rae"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Yard", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    choose_by_keyboard(page)
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    other = page.context.new_page()
    other.goto("/champions")
    expect(other.get_by_role("heading", name="Champions", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    expect(other.get_by_label("Token")).to_be_visible()
    page.goto("/")
    assert "/sign-in" in page.url


def choose_by_keyboard(page: Page) -> None:
    """A name from the list beside a field; then the list is opened once more, and left."""
    expect(page.get_by_label("max_depth", exact=True)).to_be_visible()
    field = page.get_by_role("textbox", name="Register as")
    button = page.get_by_role("button", name="choose Register as")
    focused = "document.activeElement.getAttribute('aria-label')"
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == "choose Register as":
            break
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    items = page.get_by_role("menuitem")
    expect(items.first).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    # A menu lies over the page and not in it, as every popup does.
    found = Axe().run(page, options={"rules": {"region": {"enabled": False}}})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    first = items.first.inner_text()
    page.keyboard.press("ArrowDown")
    expect(items.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_have_value(first)
    expect(items).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(items.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    expect(button).to_be_focused()


def test_a_revoked_token_closes_the_pages_that_are_open(opened, lasting_yard: Yard, tokens_file):
    people, token = read_tokens(tokens_file).with_token("eve", role=Role.READ, team=None)
    write_tokens(tokens_file, people)
    page = opened("/", person=None)
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Yard", exact=True)).to_be_visible()
    write_tokens(tokens_file, people.without("eve"))
    lasting_yard.cancel(lasting_yard.submit()["run_id"])  # a change, which answers the long poll
    expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize(
    "headers", [{"Host": "pages.example.com"}, {"Origin": ELSEWHERE}, {"Origin": "null"}]
)
def test_a_foreign_page_can_neither_read_nor_change_anything(console: Server, headers, tokens):
    for method, path in (("GET", "/"), ("POST", "/sign-in"), ("POST", "/sign-out")):
        answer = httpx.request(
            method, console.url + path, headers=headers, data={"token": tokens["ada"]}
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_foreign_page_opens_no_socket_and_the_consoles_own_does(console: Server):
    address = console.url.replace("http", "ws") + SOCKET
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=ELSEWHERE, proxy=None)
    assert refused.value.response.status_code == 403
    with connect(address, origin=console.url, proxy=None) as socket:
        assert socket.recv(timeout=10)


def test_a_forged_cookie_is_nobodys(console: Server, tokens):
    answer = httpx.post(f"{console.url}/sign-in", data={"token": tokens["ada"]})
    ((name, value),) = answer.cookies.items()
    for forged in (value[:-1], value.replace(".", "x.", 1), "x", ""):
        shown = httpx.get(console.url, cookies={name: forged})
        assert shown.headers["location"].startswith("/sign-in")


def failed(console: Server, token: str) -> str:
    answer = httpx.post(f"{console.url}/sign-in", data={"token": token}, timeout=60)
    return answer.headers["location"]


@pytest.mark.parametrize("token", ["", " ", "wörter", "no-such-token"])
def test_what_is_no_token_of_anybody_is_wrong(console: Server, token):
    assert failed(console, token) == "/sign-in?failed=wrong"


def test_where_one_is_sent_after_signing_in_is_a_page_of_the_console(console: Server, tokens):
    for wanted, sent in (
        ("/champions", "/champions"),
        ("//evil.example.com", "/"),
        ("https://evil.example.com/", "/"),
        ("/\\evil.example.com", "/"),
    ):
        form = {"token": tokens["rae"], "next": wanted}
        assert httpx.post(f"{console.url}/sign-in", data=form).headers["location"] == sent


def test_the_page_of_a_services_api_takes_a_token_and_makes_calls(
    browser: Browser, lasting_yard: Yard, tokens
):
    page = browser.new_page()
    page.set_default_timeout(20_000)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(f"{lasting_yard.service.url}/docs")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(tokens["rae"])
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    call = page.locator("#operations-operations-get_version")
    call.get_by_role("button").first.click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert [url for url in loaded if not url.startswith(lasting_yard.service.url)] == []
    page.close()
