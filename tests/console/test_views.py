"""Each view over a real service, as the roles see it."""

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from champions import made
from playwright.sync_api import Page, expect
from servers import Yard, ticking, tidied
from trainyard.contract import AIRFLOW_TASK

BREAST_CANCER = {"source": "builtin", "name": "breast_cancer"}


@pytest.fixture(scope="module")
def trained(lasting_yard: Yard) -> dict[str, Any]:
    """A run that was judged, and waits for somebody to promote its version."""
    return judged(tidied(lasting_yard), "shown", rounds=20)


def judged(yard: Yard, name: str, *, rounds: int, metric: str = "test_roc_auc") -> dict[str, Any]:
    """A run that registers `name`, whose champion it may be once somebody asks."""
    run = yard.submit(
        {
            "model": "xgboost_classifier",
            "params": {"n_estimators": rounds, "max_depth": 3},
            "data": BREAST_CANCER,
            "tags": {"purpose": name},
            "register": {"name": name, "promote": {"metric": metric, "when": "asked"}},
        },
        Prefer="wait=60",
    )
    assert run["status"] == "FINISHED", run
    return run


def row(page: Page, run: dict[str, Any]) -> Any:
    return page.locator(f"li[data-run='{run['run_id']}']")


def section(page: Page, heading: str) -> Any:
    """The list that follows a heading."""
    return page.locator(f"h2:text-is('{heading}') + * + ul")


# The yard


def test_the_yard_shows_what_happens_at_once_and_says_which_service_is_away(
    opened, shared_yard: Yard
):
    page = opened()
    expect(page.get_by_text("absent is away")).to_be_visible()
    expect(page.get_by_text("Nothing runs.")).to_be_visible()
    run = shared_yard.submit(ticking(run_name="first-of-two"))
    expect(section(page, "Running")).to_contain_text("first-of-two")
    room = page.get_by_role("row", name="boosting")
    expect(room).to_contain_text("1 of 1 busy")
    waits = shared_yard.submit(ticking(run_name="second-of-two", resources={"memory_mb": 700}))
    expect(section(page, "Waiting")).to_contain_text("second-of-two")
    expect(row(page, waits)).to_contain_text("waiting, place 1")
    expect(row(page, waits)).to_contain_text("for a slot")
    expect(room).to_contain_text(re.compile(r"0 of [\d,]+ MB, 700 waited for"))
    expect(row(page, run)).to_contain_text("of 100,000 rounds")
    expect(row(page, run)).to_contain_text("train_log_loss")
    expect(row(page, run).get_by_role("progressbar")).to_be_visible()
    shared_yard.http.delete(f"/train/{waits['run_id']}").raise_for_status()
    expect(section(page, "Ended lately")).to_contain_text("second-of-two")
    expect(row(page, waits)).to_contain_text("cancelled")


def test_a_run_is_on_the_page_as_soon_as_it_is_accepted(opened, shared_yard: Yard):
    page = opened()
    expect(page.get_by_text("Nothing runs.")).to_be_visible()
    run = shared_yard.submit(ticking())
    row(page, run).wait_for(
        timeout=2_000
    )  # 0.2 s where nothing else runs; a busy machine has its time


def test_all_runs_are_listed_by_pages_and_by_status(opened, shared_yard: Yard, trained):
    page = opened()
    page.get_by_role("button", name="List").click()
    expect(page.get_by_text("without absent")).to_be_visible()
    listed = page.locator("ul").last
    expect(listed.locator("li").first).to_be_visible()
    page.get_by_label("Status").click()
    page.get_by_role("option", name="finished").click()
    page.get_by_role("button", name="List").click()
    expect(page.get_by_text("1 to 1,")).to_be_visible()
    expect(listed).to_contain_text(trained["run_name"])


def test_what_teams_used_is_told_of_all_services(opened, trained):
    page = opened("/usage")
    expect(page.get_by_text("Without absent.")).to_be_visible()
    used = page.get_by_role("region", name="usage").get_by_role("row").last
    expect(used).to_contain_text(re.compile(r"20\d\d-\d\d"))


# A run


def test_a_run_is_followed_and_cancelled_after_a_second_thought(opened, shared_yard: Yard):
    run = shared_yard.submit(ticking(run_name="followed"))
    page = opened(f"/runs/boosting/{run['run_id']}", person="tom")
    expect(page.get_by_role("log")).to_contain_text("from round 0")
    expect(page.get_by_label("curves of log_loss").locator("canvas")).to_be_visible()
    expect(page.locator("ol").get_by_text("loading data")).to_be_visible()
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Let it go on").click()
    assert shared_yard.get(run["run_id"])["status"] == "RUNNING"
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("Somebody asked for it")).to_be_visible()
    expect(page.locator("ol").get_by_text("cancelled by tom")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel …")).to_be_hidden()


def test_a_run_that_has_ended_has_its_curves_params_and_what_it_used(opened, trained):
    page = opened(f"/runs/boosting/{trained['run_id']}")
    expect(page.get_by_label("curves of log_loss, 20 points").locator("canvas")).to_be_visible()
    expect(page.get_by_role("row", name="max_depth 3")).to_be_visible()
    expect(page.get_by_role("row", name="with a slot")).to_be_visible()
    expect(page.get_by_role("link", name="In Airflow")).to_be_hidden()


@pytest.mark.parametrize(
    ("written", "leads"), [("https://airflow.example.com/dags/d", 1), ("javascript:alert(1)", 0)]
)
def test_a_run_leads_to_the_task_that_asked_for_it(opened, shared_yard: Yard, written, leads):
    tags = {AIRFLOW_TASK: written}
    run = shared_yard.submit(ticking(params={"rounds": 2}, tags=tags), Prefer="wait=60")
    page = opened(f"/runs/boosting/{run['run_id']}")
    expect(page.get_by_label("request as JSON")).to_contain_text(written)
    expect(page.locator(f"a[href='{written}']")).to_have_count(leads)


def test_who_may_only_read_cannot_cancel_and_is_told_which_role_it_takes(opened, shared_yard: Yard):
    run = shared_yard.submit(ticking())
    page = opened(f"/runs/boosting/{run['run_id']}", person="rae")
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_role("alert").get_by_text("needs the role train")).to_be_visible()
    assert not shared_yard.get(run["run_id"])["ended_at"]


def test_a_run_that_failed_says_why_and_what_to_do(opened, shared_yard: Yard):
    run = shared_yard.submit(ticking(params={"rounds": 3}), Prefer="wait=60")
    assert run["reason"] == "crashed"
    page = opened(f"/runs/{run['run_id']}")  # found by its id alone
    expect(row(page, run)).to_contain_text("failed: crashed")
    expect(page.get_by_text("The end of the log says where")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("counted to the end")


def test_the_trials_of_a_search_are_listed_as_they_end_the_best_first(opened, shared_yard: Yard):
    before = shared_yard.submit(ticking())
    run = shared_yard.submit(
        {
            "model": "xgboost_classifier",
            "params": {"n_estimators": 2},
            "data": BREAST_CANCER,
            "search": {"space": {"max_depth": [1, 2, 3]}, "sampler": "grid"},
        }
    )
    page = opened(f"/runs/boosting/{run['run_id']}", person="rae")
    expect(row(page, run)).to_contain_text("waiting")
    trials = page.get_by_role("region", name="trials")
    expect(trials).to_be_hidden()
    shared_yard.http.delete(f"/train/{before['run_id']}").raise_for_status()
    expect(trials.get_by_role("row")).to_have_count(1 + 3)
    found = shared_yard.ended(run["run_id"])["searched"]
    best = trials.get_by_role("row", name=f"{found['best_trial']}, the best completed")
    expect(best).to_contain_text(f"max_depth={found['best_params']['max_depth']}")
    values = trials.locator("td:nth-of-type(2)").all_inner_texts()
    assert [float(each) for each in values] == sorted(map(float, values))
    assert float(values[0]) == pytest.approx(found["best_value"], rel=1e-5)
    assert Axe().run(page).violations_count == 0


def test_what_people_write_is_shown_as_text(opened, shared_yard: Yard):
    name = "<img src=x onerror=alert(1)> \"' style=x"
    run = shared_yard.submit(ticking(run_name=name, params={"rounds": 2}), Prefer="wait=60")
    page = opened()
    expect(row(page, run).get_by_role("link", name=name)).to_be_visible()
    row(page, run).get_by_role("link").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert page.locator("img").count() == 0


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/no-such-page", "There is nothing at /no-such-page"),
        (f"/runs/boosting/{'0' * 32}", f"no run '{'0' * 32}'"),
        (f"/runs/{'0' * 32}", "None of the services that answer"),
        ("/runs/no-such-service/1", "none of this console's services"),
        ("/champions/no-such-model", "no registered model 'no-such-model'"),
    ],
)
def test_what_is_not_there_is_said_so_with_the_status_that_means_it(opened, path, why):
    page = opened("/sign-in")
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text(why)).to_be_visible()
    assert Axe().run(page).violations_count == 0


def test_a_run_of_a_service_that_is_away_is_not_said_to_be_missing(opened):
    page = opened(f"/runs/absent/{'0' * 32}")
    expect(page.get_by_role("heading", level=1)).to_have_text("A run that cannot be shown now")


def test_a_request_can_be_sent_again_from_a_shell_from_python_and_from_airflow(opened, trained):
    page = opened(f"/runs/boosting/{trained['run_id']}")
    texts = {}
    for name in ("JSON", "curl", "Python", "Airflow"):
        page.get_by_role("tab", name=name).click()
        texts[name] = page.get_by_label(f"request as {name}").inner_text()
    request = json.loads(texts["JSON"])
    assert request["params"] == {"n_estimators": 20, "max_depth": 3}
    assert json.loads(shlex.split(texts["curl"])[-1]) == request
    for name in ("Python", "Airflow"):
        assert literals(texts[name])["request"] == request


def literals(code: str) -> dict[str, Any]:
    """What is assigned, or given by name, as a literal in a piece of Python."""
    nodes = list(ast.walk(ast.parse(code)))
    named = [(each.arg, each.value) for each in nodes if isinstance(each, ast.keyword)]
    named += [(each.targets[0].id, each.value) for each in nodes if isinstance(each, ast.Assign)]
    return {name: ast.literal_eval(value) for name, value in named if isinstance(value, ast.Dict)}


# Train


def test_a_training_is_filled_in_refused_beside_its_fields_and_accepted(opened, shared_yard: Yard):
    page = opened("/train", person="tom")
    page.get_by_label("Model").click()
    page.get_by_role("option", name="xgboost_classifier").click()
    depth = page.get_by_label("max_depth", exact=True)
    expect(depth).to_have_value("6")
    depth.fill("65")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("65 should be at most 64")).to_be_visible()
    expect(page.get_by_text("Look again at max_depth")).to_be_visible()
    depth.fill("3")
    page.get_by_label("n_estimators", exact=True).fill("7")
    metric = page.get_by_role("textbox", name="Promote to champion by")
    register = page.get_by_role("textbox", name="Register as")
    pick_named(page, "Promote to champion by", "test_accuracy")
    expect(metric).to_have_value("test_accuracy")
    metric.fill("validation_roc_auc")
    register.fill("never")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("is not of the test rows")).to_be_visible()
    metric.fill("")
    register.fill("")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**/runs/boosting/*")
    run_id = page.url.rsplit("/", 1)[1]
    request = shared_yard.http.get(f"/train/{run_id}/request").json()
    assert request["params"] == {"max_depth": 3, "n_estimators": 7}
    assert request["data"] == BREAST_CANCER
    assert shared_yard.get(run_id)["submitted_by"] == "tom"


def test_a_run_is_trained_again_with_changes_and_keeps_what_has_no_field(
    opened, shared_yard: Yard, trained
):
    page = opened(f"/runs/boosting/{trained['run_id']}", person="pia")
    page.get_by_role("link", name="Train again with changes").click()
    rounds = page.get_by_label("n_estimators", exact=True)
    expect(rounds).to_have_value("20")
    expect(page.get_by_role("textbox", name="Promote to champion by")).to_have_value("test_roc_auc")
    rounds.fill("21")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**/runs/boosting/*")
    run_id = page.url.rsplit("/", 1)[1]
    before = shared_yard.http.get(f"/train/{trained['run_id']}/request").json()
    after = shared_yard.http.get(f"/train/{run_id}/request").json()
    assert after == before | {"params": {"n_estimators": 21, "max_depth": 3}}


def pick(page: Page, label: str, option: str) -> None:
    page.get_by_label(label).click()
    page.get_by_role("option", name=option, exact=True).click()


def pick_named(page: Page, label: str, name: str) -> None:
    page.get_by_role("button", name=f"choose {label}").click()
    page.get_by_role("menuitem", name=name, exact=True).click()


def test_data_is_looked_at_and_its_target_chosen_before_anything_is_sent(
    opened, shared_yard: Yard, data_root: Path
):
    made(300).assign(same=1).to_csv(data_root / "looked.csv", index=False, sep=";")
    page = opened("/train", person="tom")
    pick(page, "Model", "xgboost_classifier")
    pick(page, "Source", "file")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("Not sent yet")).to_be_visible()
    expect(page.get_by_text("is required")).to_have_count(2)
    path = page.get_by_role("textbox", name="Path below a data root")
    path.fill("lookd.csv")
    page.keyboard.press("Tab")
    refusal = page.get_by_text("does not exist below the data roots")
    expect(refusal).to_be_visible()
    path.focus()
    page.get_by_role("button", name="Train", exact=True).focus()
    expect(refusal).to_be_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(refusal).to_be_hidden()
    path.fill("looked.csv")
    page.keyboard.press("Tab")
    expect(page.get_by_text("All 300 rows were looked at.")).to_be_visible()
    expect(page.get_by_label("warnings about the data")).to_contain_text("the delimiter ';'")
    expect(page.get_by_label("warnings about the data")).to_contain_text("nothing can be learnt")
    assert Axe().run(page).violations_count == 0
    target = page.get_by_role("textbox", name="Target column")
    target.fill("bougt")
    page.keyboard.press("Tab")
    expect(page.get_by_text("'bougt' is not a column of the data")).to_be_visible()
    page.get_by_role("button", name="predict bought").click()
    expect(target).to_have_value("bought")
    page.get_by_label("n_estimators", exact=True).fill("2")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**/runs/boosting/*")
    request = shared_yard.http.get(f"/train/{page.url.rsplit('/', 1)[1]}/request").json()
    assert request["data"] == {"source": "file", "uri": "looked.csv", "target": "bought"}


def test_who_may_only_read_is_told_that_a_look_takes_another_role(opened):
    page = opened("/train", person="rae")
    page.get_by_role("button", name="Look at the data").click()
    expect(page.get_by_text("POST /datasets/preview needs the role train")).to_be_visible()


def test_a_query_is_looked_at_and_trained_on_again_with_its_rows(
    opened, shared_yard: Yard, data_root: Path
):
    made(300).to_csv(data_root / "again.csv", index=False)
    query = {"source": "sql", "connection": "files", "query": "SELECT * FROM 'again.csv'"}
    first = shared_yard.submit(
        {
            "model": "xgboost_classifier",
            "params": {"n_estimators": 2},
            "data": query | {"target": "bought"},
        },
        Prefer="wait=60",
    )
    assert first["status"] == "FINISHED", first
    page = opened(f"/runs/boosting/{first['run_id']}", person="pia")
    page.get_by_role("link", name="Train again with changes").click()
    expect(page.get_by_label("n_estimators", exact=True)).to_have_value("2")
    expect(page.get_by_label("Query")).to_have_value(query["query"])
    page.get_by_role("button", name="Look at the data").click()
    expect(page.get_by_role("button", name="predict bought")).to_be_visible()
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**/runs/boosting/*")
    again = page.url.rsplit("/", 1)[1]
    assert again != first["run_id"]
    request = shared_yard.http.get(f"/train/{again}/request").json()
    assert request["data"].items() >= query.items()


# Champions


def test_a_champion_is_promoted_and_rolled_back_by_who_may(opened, shared_yard: Yard):
    judged(shared_yard, "held", rounds=10, metric="test_log_loss")
    page = opened("/champions", person="rae")
    page.get_by_role("link", name="held", exact=True).click()
    expect(page.get_by_text("not decided yet")).to_be_visible()
    page.get_by_role("button", name="Promote version 1").click()
    expect(page.get_by_role("alert").get_by_text("needs the role promote")).to_be_visible()
    page = opened("/champions/held", person="pia")
    page.get_by_label("Comment").fill("it is the first")
    page.get_by_role("button", name="Promote version 1").click()
    expect(page.get_by_text("Version 1 of held, champion: promoted")).to_be_visible()
    expect(page.locator("ol").get_by_text("it is the first")).to_be_visible()
    page.get_by_role("button", name="Roll champion back").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.get_by_role("alert").get_by_text("no earlier holder")).to_be_visible()
    judged(shared_yard, "held", rounds=30, metric="test_log_loss")
    page.reload()
    newest, first = page.locator("ol li").first, page.locator("ol li").last
    expect(newest).to_contain_text("version 1, the holder, has")
    page.get_by_role("button", name="Promote version 2").click()
    expect(newest.get_by_role("button", name="Roll champion back")).to_be_visible()
    expect(first.get_by_role("button", name="Promote version 1")).to_be_visible()
    page.get_by_label("Comment").fill("callers complain")
    page.get_by_role("button", name="Roll champion back").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.get_by_text("Version 1 of held, champion")).to_be_visible()
    expect(first.get_by_role("button", name="Roll champion back")).to_be_visible()
    expect(newest).to_contain_text("callers complain")


# All of them


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (400, "dark"), (1600, "dark")])
def test_every_view_can_be_read_by_all_and_fits(opened, shared_yard: Yard, trained, width, scheme):
    shared_yard.submit(ticking())
    page = opened("/sign-in", viewport={"width": width, "height": 900}, color_scheme=scheme)
    run = f"/runs/boosting/{trained['run_id']}"
    for path in ("/sign-in", "/", run, "/train", "/usage", "/champions", "/champions/shown"):
        page.goto(path)
        page.wait_for_function("window.socket?.connected")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    dark = page.evaluate("document.body.classList.contains('body--dark')")
    assert dark == (scheme == "dark")
