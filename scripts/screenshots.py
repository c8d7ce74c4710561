"""Takes the pictures of the documentation from a running Airflow, MLflow and console: `screenshots.py FOLDER [PART...]`.

Where they are is said by AIRFLOW_URL, AIRFLOW_ADMIN_PASSWORD, MLFLOW_TRACKING_URI and CONSOLE_URL, whose services ask
for no token; CHROMIUM names the browser. Parts: airflow mlflow console, all by default. Needs one finished run of the
pipeline whose pictures are taken, and for the console a run that trains.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, sync_playwright

AIRFLOW = os.environ.get("AIRFLOW_URL", "http://127.0.0.1:8082")
PASSWORD = os.environ.get("AIRFLOW_ADMIN_PASSWORD", "admin")
MLFLOW = os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
CONSOLE = os.environ.get("CONSOLE_URL", "http://127.0.0.1:8000")
PIPELINE = "xgboost_classification_pipeline"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    """Take them."""
    parts = {"airflow": airflow, "mlflow": mlflow, "console": console}
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        for part in sys.argv[2:] or parts:
            parts[part](browser, folder)
        browser.close()


def chromium() -> str:
    """The browser that there is."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    return found or sys.exit("no Chromium here: install it, or name it in CHROMIUM")


def airflow(browser: Browser, folder: Path) -> None:
    """The list of DAGs, a finished run's graph, the trigger form, and the buttons of a training."""
    page = browser.new_page(viewport={"width": 1360, "height": 850})
    page.goto(f"{AIRFLOW}/auth/login/")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button[type=submit]").click()
    page.wait_for_url(f"{AIRFLOW}/")
    run = finished_run()
    there = f"{AIRFLOW}/dags/{PIPELINE}"
    page.goto(f"{AIRFLOW}/dags")
    page.get_by_role("button", name="Show table view").click()
    page.get_by_role("row").get_by_text(PIPELINE).wait_for()
    shoot(page, folder / "airflow-dags.png")
    take(page, f"{there}/runs/{quote(run)}", "PromoteOperator", folder / "airflow-run.png")
    take(
        page,
        f"{there}/runs/{quote(run)}/tasks/train/details",
        "Registered model",
        folder / "airflow-links.png",
    )
    page.goto(there)
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_test_id("rf__wrapper").get_by_text("PromoteOperator").wait_for()
    shoot(page, folder / "airflow-graph.png")
    page.get_by_role("button", name="Trigger Dag").click()
    page.get_by_text("max_depth").first.wait_for()
    shoot(page, folder / "airflow-trigger.png")


def mlflow(browser: Browser, folder: Path) -> None:
    """The run that the pipeline trained, and the registered model."""
    page = browser.new_page(viewport={"width": 1360, "height": 850})
    version = ask(
        f"{MLFLOW}/api/2.0/mlflow/registered-models/alias?name=xgboost-classification&alias=champion"
    )["model_version"]
    run = ask(f"{MLFLOW}/api/2.0/mlflow/runs/get?run_id={version['run_id']}")["run"]["info"]
    page.goto(f"{MLFLOW}/#/models/xgboost-classification")
    page.get_by_role(
        "button", name="Close", exact=True
    ).click()  # MLflow's assistant, which stays closed then
    take(
        page,
        f"{MLFLOW}/#/experiments/{run['experiment_id']}/runs/{run['run_id']}",
        "test_roc_auc",
        folder / "mlflow-run.png",
    )
    take(page, f"{MLFLOW}/#/models/xgboost-classification", "champion", folder / "mlflow-model.png")


def console(browser: Browser, folder: Path) -> None:
    """The yard, the first run that trains, the form, and the first registered model."""
    page = browser.new_page(viewport={"width": 1200, "height": 760})
    lost = page.get_by_text("Connection lost")
    page.goto(CONSOLE)
    page.locator("li.run").first.wait_for()
    lost.wait_for(state="hidden")
    shoot(page, folder / "console-yard.png")
    page.locator("li.run a").first.click()
    page.locator("canvas").first.wait_for()
    lost.wait_for(state="hidden")
    shoot(page, folder / "console-run.png")
    page.goto(f"{CONSOLE}/train")
    page.get_by_role("button", name="Look at the data").click()
    page.get_by_text("rows were looked at").wait_for()
    shoot(page, folder / "console-train.png")
    page.goto(f"{CONSOLE}/champions")
    page.locator("li.run a").first.click()
    page.get_by_text("Version 1").first.wait_for()
    shoot(page, folder / "console-champion.png")


def take(page: Page, url: str, shows: str, file: Path) -> None:
    """Open an address, and take the picture once the words are on the page."""
    page.goto(url)
    page.get_by_text(shows).first.wait_for()
    shoot(page, file)


def shoot(page: Page, file: Path) -> None:
    """Take the picture of what is there, once all that it shows was loaded."""
    page.wait_for_function("[...document.images].every(each => each.complete)")
    page.screenshot(path=file, animations="disabled")
    print(file)


def finished_run() -> str:
    """The newest run of the pipeline that succeeded."""
    login = Request(
        f"{AIRFLOW}/auth/token",
        json.dumps({"username": "admin", "password": PASSWORD}).encode(),
        {"Content-Type": "application/json"},
    )
    token = ask(login)["access_token"]
    where = f"{AIRFLOW}/api/v2/dags/{PIPELINE}/dagRuns?state=success&order_by=-id&limit=1"
    runs = ask(Request(where, headers={"Authorization": f"Bearer {token}"}))["dag_runs"]
    if not runs:
        sys.exit(f"no run of {PIPELINE} has succeeded yet; trigger it first")
    return str(runs[0]["dag_run_id"])


def ask(where: str | Request) -> Any:
    """An answer's JSON."""
    with urlopen(where, timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
