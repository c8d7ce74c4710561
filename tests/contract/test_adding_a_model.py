"""The example of docs/adding-a-model.md, put into the folder of a real service and trained."""

import subprocess

from servers import ROOT, SELDOM, WEB, Yard

SCORE = """
import sys
sys.modules["trainyard"] = None
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
columns = model.metadata.get_input_schema().input_names()
print(model.predict(pandas.DataFrame([[5.1, 3.5, 1.4, 0.2]], columns=columns)).tolist())
"""


def test_the_documented_model_trains_registers_and_predicts_without_trainyard(
    shared_yard: Yard, service: str
) -> None:
    yard = shared_yard
    assert [*yard.http.get("/readyz").json()["broken_models"]] == [
        str(yard.work_dir.parent / "models/broken.py")
    ]
    described = yard.http.get("/models/neighbours").json()
    run = yard.ended(
        yard.submit({**described["example"], "register": {"name": f"neighbours-{service}"}})[
            "run_id"
        ]
    )
    assert (run["status"], run["message"]) == ("FINISHED", None)
    assert run["metrics"]["test_accuracy"] > 0.9
    refused = yard.http.post("/train", json={**described["example"], "params": {"n_neighbours": 3}})
    assert "did you mean 'n_neighbors'" in refused.text
    scored = subprocess.run(
        [
            ROOT / f".venvs/{service}/bin/python",
            SELDOM,
            "-c",
            SCORE,
            yard.mlflow.url,
            f"models:/neighbours-{service}/1",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    assert scored.stdout.strip() == "[0]"
    artifacts = WEB.get(
        f"{yard.mlflow.url}/api/2.0/mlflow/artifacts/list",
        params={"run_id": run["run_id"]},
        timeout=30,
    )
    assert {"plots", "request.json", "training.log"} <= {
        file["path"] for file in artifacts.json()["files"]
    }
