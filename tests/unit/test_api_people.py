"""What a token opens: roles, who did what, and wrong tokens."""

import asyncio
import tracemalloc

import httpx
import pytest
from fastapi.routing import APIRoute
from structlog.testing import capture_logs
from trainyard.api.app import create_app
from trainyard.api.auth import RequireToken
from trainyard.api.openapi import EXAMPLES
from trainyard.api.roles import RULES
from trainyard.api.slowing import Slowing
from trainyard.contract import Registered, Role, RunStatus
from trainyard.peers.services import peer_secret
from trainyard.people.known import KnownPeople
from trainyard.people.tokens import Tokens, read_tokens, write_tokens
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
SERVICE = Service("example", "example_package", 8001)
TRAINING = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
PROMOTING = EXAMPLES["classify_and_promote"]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def runs(tmp_path):
    return InMemoryRuns(tmp_path)


@pytest.fixture
def people(tmp_path):
    """A token for each role, by the name of the role's person; `file` is where they are."""
    kept, tokens = Tokens(), {}
    for name, role in zip(("rae", "tom", "pia", "ada"), Role, strict=True):
        kept, tokens[name] = kept.with_token(name, role=role, team="growth")
    write_tokens(tmp_path / "tokens.json", kept)
    return tokens


@pytest.fixture
async def client(runs, people, tmp_path):
    settings = Settings(tokens_file=tmp_path / "tokens.json", work_dir=tmp_path / "work")
    app = create_app(runs, SERVICE, settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


@pytest.fixture
def called(client, people):
    async def call(name, method, path, **options):
        headers = {"Authorization": f"Bearer {people[name]}"}
        return await client.request(method, path, headers=headers, **options)

    return call


async def test_every_route_of_the_application_has_a_rule(client):
    app = client._transport.app
    routers = [each.original_router for each in app.routes if hasattr(each, "original_router")]
    included = [*app.routes, *(route for router in routers for route in router.routes)]
    routes = {route.name for route in included if isinstance(route, APIRoute)}
    assert len(routes) > 15
    assert routes == RULES.keys()


async def test_who_submits_is_on_the_run_and_who_cancels_in_its_message(called):
    run = (await called("tom", "POST", "/train", json=TRAINING)).json()
    assert (run["submitted_by"], run["team"]) == ("tom", "growth")
    ended = (await called("pia", "DELETE", f"/train/{run['run_id']}")).json()
    assert (ended["message"], ended["submitted_by"]) == ("cancelled by pia", "tom")


async def test_a_role_that_is_not_enough_is_told_which_is_needed_and_which_it_is(called, runs):
    refused = await called("rae", "POST", "/train", json=TRAINING)
    assert (refused.status_code, refused.json()["type"]) == (403, "forbidden")
    assert refused.json()["detail"] == "POST /train needs the role train, and rae has read"
    assert runs.submitted == []


async def test_a_role_is_checked_before_the_body_is_read_or_the_run_is_looked_for(called):
    async def body():
        raise AssertionError("the body was read")
        yield b""

    assert (await called("rae", "POST", "/train", content=body())).status_code == 403
    assert (await called("rae", "DELETE", "/train/nothing")).status_code == 403


@pytest.mark.parametrize(
    ("register", "status"),
    [
        ({"name": "m", "alias": "champion"}, 403),
        ({"name": "m", "promote": {"metric": "test_roc_auc"}}, 403),
        ({"name": "m", "promote": {"metric": "test_roc_auc", "when": "asked"}}, 202),
        ({"name": "m"}, 202),
    ],
)
async def test_a_training_that_moves_an_alias_by_itself_is_a_promoters(called, register, status):
    body = {**TRAINING, "register": register}
    answer = await called("tom", "POST", "/train", json=body)
    assert answer.status_code == status
    if status == 403:
        assert "needs the role promote, and tom has train" in answer.json()["detail"]
    assert (await called("pia", "POST", "/train", json=body)).status_code == 202


@pytest.mark.parametrize(
    ("word", "by"),
    [({}, "pia"), ({"by": "pia"}, "pia"), ({"by": "zoe"}, "zoe (by the token of pia)")],
)
async def test_who_approves_is_in_the_word_that_decides(called, runs, word, by):
    run = (await called("pia", "POST", "/train", json=PROMOTING)).json()
    judged = Registered(name="breast-cancer", version="1", decision="not decided yet")
    await runs.change(run["run_id"], status=RunStatus.FINISHED, registered=judged)
    answer = await called("pia", "POST", f"/train/{run['run_id']}/promotion", json=word)
    assert answer.status_code == 200
    assert runs.promotions[0][1].by == by


async def test_a_revoked_token_opens_nothing_from_the_next_call_on(called, tmp_path):
    assert (await called("tom", "GET", "/train")).status_code == 200
    file = tmp_path / "tokens.json"
    write_tokens(file, read_tokens(file).without("tom"))
    assert (await called("tom", "GET", "/train")).status_code == 401
    assert (await called("rae", "GET", "/train")).status_code == 200


async def test_who_did_what_is_in_the_audit_newest_first_and_an_admins_alone(called):
    run = (await called("tom", "POST", "/train", json=TRAINING)).json()
    await called("rae", "DELETE", f"/train/{run['run_id']}")
    await called("pia", "DELETE", f"/train/{run['run_id']}")
    await called("rae", "GET", "/train")
    assert (await called("pia", "GET", "/audit")).status_code == 403
    page = (await called("ada", "GET", "/audit", params={"limit": 3})).json()
    told = [
        (each["by"], each["call"].split("/")[0] + each["role"], each["status"])
        for each in page["entries"]
    ]
    assert told == [
        ("pia", "GET promote", 403),
        ("pia", "DELETE promote", 202),
        ("rae", "DELETE read", 403),
    ]
    rest = (await called("ada", "GET", "/audit", params={"cursor": page["cursor"]})).json()
    (trained,) = rest["entries"]
    assert rest["cursor"] is None
    assert (trained["run_id"], trained["team"], trained["call"]) == (
        run["run_id"],
        "growth",
        "POST /train",
    )
    assert trained["about"] == "train xgboost_classifier in Default"


async def test_an_audit_that_cannot_be_written_keeps_nobody_from_cancelling(called, tmp_path):
    run = (await called("tom", "POST", "/train", json=TRAINING)).json()
    (folder,) = (tmp_path / "work/audit").iterdir()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("no folder")
    with capture_logs() as logs:
        answer = await called("tom", "DELETE", f"/train/{run['run_id']}")
    assert answer.status_code == 202
    assert logs[0]["call"] == f"DELETE /train/{run['run_id']}"
    assert (await called("ada", "GET", "/audit")).status_code == 503


async def test_services_open_their_own_calls_by_the_files_secret_and_nothing_else(client, tmp_path):
    secret = peer_secret(read_tokens(tmp_path / "tokens.json").services)
    theirs = {"Authorization": f"Bearer {secret}"}
    turn = {"name": "nothing", "version": "1"}
    decided = await client.post("/decisions", json=turn, headers=theirs)
    assert decided.json()["type"] != "unauthorized"
    assert (await client.get("/train", headers=theirs)).status_code == 401
    nobody = {"Authorization": "Bearer "}
    assert (await client.post("/decisions", json=turn, headers=nobody)).status_code == 401


# Wrong tokens


def test_wrong_tokens_take_turns_and_too_many_are_turned_away():
    now = 100.0
    slowing = Slowing(burst=2, a_second=1.0, longest_seconds=3.0, clock=lambda: now)
    assert [slowing.turn() for _ in range(7)] == [0, 0, 1, 2, 3, None, None]
    now += 2
    assert [slowing.turn() for _ in range(3)] == [2, 3, None]
    now += 100
    assert slowing.turn() == 0


async def test_a_hundred_thousand_wrong_tokens_cost_no_memory_and_keep_nobody_out():
    answers = {"401": 0, "429": 0, "passed": 0}

    async def app(_scope, _receive, _send):
        answers["passed"] += 1

    async def send(message):
        if message["type"] == "http.response.start":
            answers[str(message["status"])] += 1

    known = KnownPeople("the one", None)
    slowing = Slowing(burst=3, a_second=50, longest_seconds=0.2, clock=lambda: 0.0)
    closed = RequireToken(app, people=known, between_services=None, slowing=slowing)

    async def call(token):
        scope = {"type": "http", "method": "GET", "path": "/train", "client": ("10.0.0.1", 1)}
        header = (b"authorization", b"Bearer " + token)
        await closed({**scope, "headers": [header]}, None, send)

    async def guess(first, count):
        for number in range(first, first + count):
            await call(b"guess %d" % number)

    with capture_logs():
        await guess(0, 1_000)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await asyncio.gather(*(guess(each * 1_000, 1_000) for each in range(1, 101)))
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await call(b"the one")
    assert answers["passed"] == 1
    assert (answers["401"], answers["429"]) == (13, 100_987)
    assert after - before < 200_000


# Bounds


async def test_a_token_that_runs_wild_is_bounded_and_others_and_reading_are_not(
    runs, people, tmp_path
):
    settings = Settings(tokens_file=tmp_path / "tokens.json", changes_a_minute=3)
    transport = httpx.ASGITransport(create_app(runs, SERVICE, settings))

    def headers(name):
        return {"Authorization": f"Bearer {people[name]}"}

    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answers = [
            await client.post("/train", json=TRAINING, headers=headers("tom")) for _ in range(5)
        ]
        assert [each.status_code for each in answers] == [202, 202, 202, 429, 429]
        assert answers[-1].json()["type"] == "too-many-calls"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await client.get("/train", headers=headers("tom"))).status_code == 200
        other = await client.post("/train", json=TRAINING, headers=headers("pia"))
        assert other.status_code == 202
    settings = Settings(changes_a_minute=3)
    transport = httpx.ASGITransport(create_app(runs, SERVICE, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answers = [await client.post("/train", json=TRAINING) for _ in range(5)]
    assert {each.status_code for each in answers} == {202}
