"""The console in its container: it reaches the trainers, and lets in who has a token of theirs."""

import httpx
from stack_access import address
from trainyard_console.sessions import COOKIE


def signed_in(token: str) -> httpx.Response:
    return httpx.post(f"{address('console')}/sign-in", data={"token": token}, timeout=60)


def test_the_console_signs_in_with_the_token_of_the_trainers_and_with_no_other(token: str) -> None:
    assert httpx.get(address("console"), timeout=60).headers["location"].startswith("/sign-in")
    assert "failed=wrong" in signed_in("no-such-token").headers["location"]
    right = signed_in(token)
    assert right.headers["location"] == "/"
    shown = httpx.get(address("console"), cookies=right.cookies, timeout=60)
    assert shown.status_code == 200
    assert COOKIE in right.cookies
