"""The networks of both frameworks on real data: good, resumable, quick to stop, and logged without Trainyard."""

import gzip
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from servers import ROOT, SELDOM, Server, Yard, free_port, until

CHECKPOINTS = {"tensorflow": "epoch.npz", "pytorch": "epoch.pt"}
REQUIREMENTS = {"tensorflow": ["keras", "tensorflow-cpu"], "pytorch": ["torch"]}
SLOW = {"conv_channels": [256, 256], "kernel_size": 7, "batch_size": 8, "epochs": 1000}
"""An epoch of this takes many seconds, a batch of it milliseconds."""


@pytest.fixture(scope="module", params=["tensorflow", "pytorch"])
def service(request: pytest.FixtureRequest) -> str:
    """A service that trains networks."""
    return str(request.param)


def python_of(service: str) -> Path:
    return ROOT / f".venvs/{service}/bin/python"


class Lab:
    """A process in a service's environment that trains what it is told to."""

    def __init__(self, service: str, folder: Path) -> None:
        self.service = service
        self.folder = folder
        self.process = subprocess.Popen(
            [python_of(service), SELDOM, ROOT / "tests/network_lab.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONWARNINGS": f"error::UserWarning:trainyard_{service}"},
        )

    def train(self, model: str, data: str, name: str, **job: Any) -> dict[str, Any]:
        """The result; what it leaves lies in the folder of that name, and a training by the same name goes on from it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(
            json.dumps({"model": model, "data": data, "folder": str(self.folder / name), **job})
            + "\n"
        )
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("RESULT "):
                return dict(json.loads(line.removeprefix("RESULT ")))
        return pytest.fail("the lab ended")

    def predicted(self, name: str) -> Any:
        return np.load(self.folder / name / "predicted.npy")


@pytest.fixture(scope="module")
def lab(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(service, tmp_path_factory.mktemp("lab"))
    yield made
    made.process.communicate()


@pytest.mark.parametrize("model, data", [("cnn", "images"), ("mlp", "images"), ("mlp", "digits")])
def test_a_network_learns_digits_and_tells_each_epoch(lab, model, data):
    result = lab.train(model, data, f"{model}-{data}")
    assert result["metrics"]["test_accuracy"] >= 0.95
    assert set(result["history"]) == {
        "train_log_loss",
        "train_accuracy",
        "validation_log_loss",
        "validation_accuracy",
    }
    steps = [step for step, _ in result["history"]["train_log_loss"]]
    assert steps == list(range(1, len(steps) + 1))
    assert (
        result["history"]["train_log_loss"][-1][1] < result["history"]["train_log_loss"][0][1] / 4
    )


@pytest.mark.skipif(
    "TRAINYARD_TEST_DATA" not in os.environ, reason="MNIST lies in TRAINYARD_TEST_DATA"
)
def test_an_epoch_of_mnist_is_enough_for_98_percent(lab):
    result = lab.train("cnn", "mnist", "mnist", params={"epochs": 1, "batch_size": 128})
    assert result["metrics"]["test_accuracy"] >= 0.98


@pytest.mark.parametrize(
    "model, data, metric, least",
    [
        ("mlp", "mixed", "test_accuracy", 0.8),
        ("mlp_regressor", "mixed", "test_r2", 0.8),
        ("mlp_regressor", "diabetes", "test_r2", 0.35),
    ],
)
def test_a_perceptron_learns_tables_with_gaps_categories_and_weights(
    lab, model, data, metric, least
):
    result = lab.train(
        model,
        data,
        f"{model}-{data}",
        params={"hidden_units": [64], "epochs": 40, "batch_size": 32},
    )
    assert result["metrics"][metric] >= least, result


def test_a_resumed_training_ends_where_the_unbroken_one_does(lab):
    params = {
        "epochs": 5,
        "batch_size": 64,
        "augment": True,
        "early_stopping_patience": 5,
        "label_smoothing": 0.1,
    }
    whole = lab.train("cnn", "images", "whole", params=params)
    broken = lab.train("cnn", "images", "broken", params=params, stop={"epochs": 2})
    assert broken["error"] == "Interrupted"
    resumed = lab.train("cnn", "images", "broken", params=params)
    assert [step for step, _ in resumed["history"]["train_log_loss"]] == [3, 4, 5]
    assert resumed["history"]["validation_log_loss"][-1] == pytest.approx(
        whole["history"]["validation_log_loss"][-1], rel=1e-3
    )
    np.testing.assert_allclose(lab.predicted("broken"), lab.predicted("whole"), atol=1e-3)


def test_a_damaged_checkpoint_is_no_obstacle(lab):
    params = {"epochs": 2, "conv_channels": [8]}
    assert (
        lab.train("cnn", "images", "damaged", params=params, stop={"epochs": 1})["error"]
        == "Interrupted"
    )
    (lab.folder / "damaged" / CHECKPOINTS[lab.service]).write_bytes(b"PK\x03\x04 not a checkpoint")
    assert lab.train("cnn", "images", "damaged", params=params)["epochs"] == 2


def test_a_training_stops_within_an_epoch(lab):
    stopped = lab.train("cnn", "images", "stopped", params=SLOW, stop={"asks": 2})
    assert stopped["error"] == "Interrupted"
    assert stopped["epochs"] == 0


def test_the_same_seed_gives_the_same_network_and_another_one_another(lab):
    params = {"epochs": 1, "deterministic": True}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        lab.train("mlp", "digits", name, params=params, seed=seed)
    assert np.array_equal(lab.predicted("first"), lab.predicted("again"))
    assert not np.array_equal(lab.predicted("first"), lab.predicted("other"))


def test_early_stopping_keeps_the_best_weights(lab):
    params = {
        "epochs": 60,
        "early_stopping_patience": 2,
        "schedule": "constant",
        "learning_rate": 0.02,
        "batch_size": 64,
    }
    result = lab.train("mlp", "digits", "early", params=params)
    losses = [loss for _, loss in result["history"]["validation_log_loss"]]
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 3
    again = lab.train("mlp", "digits", "early", params=params)
    assert again["epochs"] == 0
    assert again["metrics"] == result["metrics"]


@pytest.mark.parametrize(
    "optimizer, schedule, precision", [("sgd", "cosine", "bfloat16"), ("adam", "constant", "off")]
)
def test_every_optimizer_schedule_and_precision_learns(lab, optimizer, schedule, precision):
    params = {
        "optimizer": optimizer,
        "schedule": schedule,
        "mixed_precision": precision,
        "learning_rate": 0.05 if optimizer == "sgd" else 0.003,
    }
    result = lab.train(
        "mlp",
        "digits",
        optimizer,
        params={**params, "activation": "gelu", "batch_norm": False, "batch_size": 64},
        no_validation=True,
    )
    assert result["metrics"]["test_accuracy"] >= 0.9
    assert set(result["history"]) == {"train_log_loss", "train_accuracy"}


def test_running_out_of_memory_is_told(lab):
    params = {"hidden_units": [16_384, 16_384], "epochs": 1, "mixed_precision": "off"}
    result = lab.train("mlp", "images", "memory", params=params, spare_mb=900)
    assert result["error"] == "OutOfMemory"


def test_after_memory_ran_out_a_training_goes_on_with_smaller_batches(lab):
    params = {"epochs": 4, "batch_size": 256, "conv_channels": [8]}
    assert (
        lab.train("cnn", "images", "halved", params=params, stop={"epochs": 2})["error"]
        == "Interrupted"
    )
    result = lab.train("cnn", "images", "halved", params=params, halvings=2)
    assert [step for step, _ in result["history"]["train_log_loss"]] == [3, 4]
    assert result["metrics"]["test_accuracy"] >= 0.9


@pytest.mark.parametrize(
    "model, data, params, words",
    [
        ("cnn", "images", {"conv_channels": [4] * 5}, "room for 3"),
        ("cnn", "tiny", {}, "2 x 2 pixels have room for 1"),
        ("cnn", "images", {"batch_size": 1}, "batch_size is 1"),
        ("mlp", "digits", {"device": "cuda"}, "sees no GPU"),
        ("mlp", "digits", {"early_stopping_patience": 1}, "validation_size"),
    ],
)
def test_params_that_do_not_fit_are_refused(lab, model, data, params, words):
    result = lab.train(
        model, data, "refused", params=params, no_validation="early_stopping_patience" in params
    )
    assert result["error"] == "InvalidParams", result
    assert words in result["detail"]


def test_a_loss_that_is_no_number_is_a_divergence(lab):
    params = {
        "learning_rate": 10,
        "optimizer": "sgd",
        "schedule": "constant",
        "hidden_units": [512] * 8,
        "batch_norm": False,
        "mixed_precision": "off",
    }
    result = lab.train(
        "mlp_regressor", "diabetes", "diverged", params={**params, "epochs": 50, "batch_size": 8}
    )
    assert result["error"] == "Diverged"
    assert "learning_rate" in result["detail"]


@pytest.mark.parametrize("model", ["mlp", "mlp_regressor"])
def test_a_table_beyond_memory_is_learnt_from_a_file_as_it_is_from_memory(lab, model):
    params = {"epochs": 2, "batch_size": 64}
    whole = lab.train(model, "mixed", f"whole {model}", params=params)
    filed = lab.train(model, "mixed, in files", f"filed {model}", params=params)
    assert filed["history"] == whole["history"]
    assert filed["metrics"] == whole["metrics"]


SCORE = """
import sys
sys.modules["trainyard"] = sys.modules["trainyard_tensorflow"] = sys.modules["trainyard_pytorch"] = None
import json
import mlflow, numpy as np, pandas as pd
framework, images, tables, values, raw_images, raw_tables, out = sys.argv[1:]
raw = np.load(raw_images)[..., 0]
model = mlflow.pyfunc.load_model(images)
assert model.metadata.metadata["classes"] == list(range(10))
np.save(f"{out}/images.npy", model.predict(raw))
assert model.predict(raw[:1]).shape == (1, 10)
if framework == "pytorch":
    import mlflow.pytorch, torch
    natively = mlflow.pytorch.load_model(images)(torch.from_numpy(raw)).detach().numpy()
else:
    import mlflow.tensorflow
    natively = mlflow.tensorflow.load_model(images).predict(raw, verbose=0)
assert np.allclose(natively, model.predict(raw), atol=1e-6)
for alike in (raw / 255, (raw / 255).astype("float32"), raw.astype(float), raw.astype("int64"), raw[..., None], raw[:, None], raw.reshape(len(raw), -1) / 255, np.array(raw.tolist(), dtype=object)):
    assert np.allclose(model.predict(alike), natively, atol=1e-6), (alike.dtype, alike.shape)
assert model.predict(raw[:0]).shape == (0, 10)
frame = pd.read_json(raw_tables, orient="split")
table = mlflow.pyfunc.load_model(tables)
proba = table.predict(frame, params={"method": "predict_proba"})
np.save(f"{out}/tables.npy", proba.to_numpy())
labels = list(table.predict(frame))
assert labels == list(proba.idxmax(axis=1)) and set(labels) <= {"high", "low", "mid"}
assert list(table.predict(frame.assign(code=frame["code"].astype("float64")))) == labels
assert list(table.predict(frame.assign(**{"the colour": frame["the colour"].astype("category")}))) == labels
assert table.predict(frame.head(1))[0] == labels[0]
unseen = table.predict(frame.head(4).assign(**{"the colour": "violet"}), params={"method": "predict_proba"})
assert np.allclose(unseen, table.predict(frame.head(4).drop(columns="the colour"), params={"method": "predict_proba"}))
np.save(f"{out}/values.npy", mlflow.pyfunc.load_model(values).predict(frame))

# MLflow's own server, without a socket.
import asyncio, httpx
from mlflow.pyfunc import scoring_server

async def asked(model, *requests):
    transport = httpx.ASGITransport(scoring_server.init(model))
    async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
        return [(await client.post("/invocations", **each)).json()["predictions"] for each in requests]

sent = [raw[:3], raw[:3] / 255, raw[:3, ..., None]]
for found in asyncio.run(asked(model, *({"json": {"inputs": each.tolist()}} for each in sent))):
    assert np.allclose(found, natively[:3], atol=1e-5)
csv = {"content": frame.head(6).to_csv(index=False), "headers": {"content-type": "text/csv"}}
records = {"json": {"dataframe_records": json.loads(frame.head(6).to_json(orient="records"))}}
assert asyncio.run(asked(table, csv, records)) == [labels[:6]] * 2
"""


def test_logged_models_predict_raw_rows_without_trainyard(lab, tmp_path):
    short = {"epochs": 2, "batch_size": 64}
    lab.train("cnn", "images", "images", params=short, save=str(tmp_path / "images"))
    lab.train("mlp", "mixed", "tables", params=short, save=str(tmp_path / "tables"))
    lab.train("mlp_regressor", "mixed", "values", params=short, save=str(tmp_path / "values"))
    assert not [
        path.name
        for path in tmp_path.rglob("*")
        if path.suffix in {".pkl", ".pickle", ".cloudpickle", ".pth"}
    ]
    for model in ("images", "tables"):
        pins = (tmp_path / model / "requirements.txt").read_text().split()
        assert [pin.split("==")[0] for pin in pins] == [
            "mlflow-skinny",
            "numpy",
            "pandas",
            *REQUIREMENTS[lab.service],
        ]
        assert not any("+" in pin for pin in pins)
    script = tmp_path / "score.py"
    script.write_text(SCORE)
    paths = [
        tmp_path / "images",
        tmp_path / "tables",
        tmp_path / "values",
        lab.folder / "images/raw.npy",
        lab.folder / "tables/raw.json",
        tmp_path,
    ]
    ran = subprocess.run(
        [python_of(lab.service), SELDOM, script, lab.service, *paths],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    for model in ("images", "tables", "values"):
        np.testing.assert_allclose(
            np.load(tmp_path / f"{model}.npy"), lab.predicted(model), rtol=1e-4, atol=1e-5
        )


def write_images(root: Path) -> dict[str, Path]:
    """Images of 8 x 8 pixels, brighter by class, in every kind in which people keep them: by kind, the file or the folder."""
    y = np.arange(60) % 3
    x = (np.random.default_rng(0).integers(0, 100, (60, 8, 8)) + y[:, None, None] * 60).astype("u1")
    shade = np.stack([x, x // 2, 255 - x], axis=-1)
    words = np.array(["none", "one", "two"])[y]

    def npz(name: str, images: Any, labels: Any) -> Path:
        np.savez(
            root / name,
            x_train=images[:40],
            y_train=labels[:40],
            x_test=images[40:],
            y_test=labels[40:],
        )
        return root / name

    for row, (image, label) in enumerate(zip(shade, words, strict=True)):
        path = root / "pictures" / str(label) / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (8, 8) if row % 4 else (10, 9)
        Image.fromarray(image).convert("RGBA").resize(size).save(path)
    (root / "idx").mkdir()
    for name, array in {"faces": x, "names": y.astype(np.uint8)}.items():
        (root / "idx" / name).write_bytes(idx(array))
    wide = np.moveaxis(shade, -1, 1).astype(np.uint16) * 257
    return {
        "floats, one-hot": npz("floats.npz", (x / 255).astype(np.float32)[..., None], np.eye(3)[y]),
        "16 bits, channels first, text in a column": npz("wide.npz", wide, words[:, None]),
        "IDX by other names": root / "idx",
        "RGBA of two sizes, by class": root / "pictures",
    }


def test_images_of_every_kind_train_and_are_predicted_as_bytes_floats_and_as_they_were(
    lab, tmp_path
):
    for number, (kind, path) in enumerate(write_images(tmp_path).items()):
        model, params = ("cnn", {"conv_channels": [4]}) if number % 2 else ("mlp", {})
        logged = {"save": str(tmp_path / "logged"), "alike": True} if number in {0, 3} else {}
        given = {"epochs": 1, "batch_size": 32, **params}
        result = lab.train(model, f"images at {path}", kind, params=given, **logged)
        assert "error" not in result, (kind, result)
        assert 0 < result["metrics"]["test_log_loss"] < 10, (kind, result)
        if logged:
            said = result["alike"]
            assert said["classes"] == ([0, 1, 2] if number == 0 else ["none", "one", "two"])
            assert said["unlike"] == [], kind
            assert all(each.startswith("refused") for each in said["refused"]), said
            assert all("255" in each or "(" in each for each in said["refused"]), said
            shutil.rmtree(logged["save"])


@pytest.fixture(scope="module")
def yard(
    service: str, mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    """The service."""
    home, port = tmp_path_factory.mktemp(service), free_port()
    environment = {
        "MLFLOW_TRACKING_URI": mlflow_server.url,
        "TRAINYARD_INSTANCE": home.name,
        "TRAINYARD_PORT": str(port),
        "TRAINYARD_WORK_DIR": str(home / "work"),
        "TRAINYARD_GRACE_SECONDS": "10",
        "TRAINYARD_NICENESS": "0",
        "TRAINYARD_DATA_ROOTS": str(home),
    }
    server = Server(
        [python_of(service).with_name("trainyard"), "serve"],
        environment,
        port,
        "/readyz",
        home / "service.log",
    )
    server.start()
    made = Yard(server, mlflow_server, home / "work")
    yield made
    made.http.close()
    server.kill(signal.SIGTERM)


def test_the_service_trains_and_logs_all_that_people_look_for(yard):
    assert {each["name"] for each in yard.http.get("/models").json()} == {
        "cnn",
        "mlp",
        "mlp_regressor",
    }
    run = yard.ended(
        yard.submit(
            {
                "model": "cnn",
                "params": {"epochs": 3},
                "data": {"source": "builtin", "name": "digits"},
            }
        )["run_id"]
    )
    assert run["status"] == "FINISHED", run

    def of_mlflow(call: str, **query: str) -> Any:
        return (
            httpx.get(
                f"{yard.mlflow.url}/api/2.0/mlflow/{call}",
                params={"run_id": run["run_id"], **query},
                timeout=30,
            )
            .raise_for_status()
            .json()
        )

    paths = {
        each["path"]
        for query in ({}, {"path": "plots"})
        for each in of_mlflow("artifacts/list", **query)["files"]
    }
    assert {
        "model_summary.txt",
        "training.log",
        "plots/mistakes.png",
        "plots/learning_curve.png",
        "plots/confusion_matrix.png",
    } <= paths
    history = of_mlflow("metrics/get-history", metric_key="validation_accuracy")["metrics"]
    assert [each["step"] for each in history] == [1, 2, 3]
    metrics = {each["key"] for each in of_mlflow("runs/get")["run"]["data"]["metrics"]}
    assert {
        "train_log_loss",
        "train_accuracy",
        "validation_log_loss",
        "test_accuracy",
        "test_roc_auc",
    } <= metrics
    assert not yard.http.get(
        f"/train/{run['run_id']}/logs"
    ).text.strip()  # nothing of oneDNN, CUDA, progress bars


def test_a_cancel_does_not_wait_for_the_epoch_to_end(yard):
    run = yard.submit(
        {"model": "cnn", "params": SLOW, "data": {"source": "builtin", "name": "digits"}}
    )
    yard.in_phase(run["run_id"], "training")
    until(lambda: yard.get(run["run_id"])["progress"], "the first batches")
    ended = yard.cancel(run["run_id"])
    assert (ended["status"], ended["reason"]) == ("KILLED", "cancelled")
    assert ended["progress"]["done"] < 2, ended["progress"]
    said = yard.http.get(f"/train/{run['run_id']}/logs").text
    assert "asked to stop" in said, "it was killed after the grace, before the epoch ended"


def test_a_run_whose_process_is_killed_goes_on_from_its_last_epoch(yard):
    params = {"conv_channels": [8], "epochs": 40, "deterministic": True}
    request = {
        "model": "cnn",
        "params": params,
        "data": {"source": "builtin", "name": "digits"},
        "max_attempts": 2,
    }
    whole = yard.ended(yard.submit(request)["run_id"])
    run_id = yard.submit(request)["run_id"]
    until(lambda: (yard.get(run_id)["progress"] or {"done": 0})["done"] >= 3, "the third epoch")
    os.kill(yard.pid(run_id), signal.SIGKILL)
    broken = yard.ended(run_id)
    assert (broken["status"], broken["attempt"]) == ("FINISHED", 2)
    assert broken["metrics"]["test_log_loss"] == pytest.approx(
        whole["metrics"]["test_log_loss"], rel=1e-3
    )
    answer = httpx.get(
        f"{yard.mlflow.url}/api/2.0/mlflow/metrics/get-history",
        params={"run_id": run_id, "metric_key": "train_log_loss"},
        timeout=30,
    )
    steps = [each["step"] for each in answer.raise_for_status().json()["metrics"]]
    assert len(steps) - len(set(steps)) <= 1, (
        steps
    )  # the epoch after whose checkpoint it was killed may be told twice, none is trained anew


def test_a_time_out_ends_a_training_in_its_epoch(yard):
    run = yard.ended(
        yard.submit(
            {
                "model": "cnn",
                "params": SLOW,
                "data": {"source": "builtin", "name": "digits"},
                "timeout_seconds": 4,
            }
        )["run_id"]
    )
    assert (run["status"], run["reason"]) == ("FAILED", "timed_out")


X, Y = (
    np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8),
    np.arange(60, dtype=np.uint8) % 3,
)


def idx(array: Any) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


BAD_IMAGES = {
    "wrong_magic": (b"\x00\x00\x99\x03" + idx(X)[4:], idx(Y)),
    "truncated": (gzip.compress(idx(X))[:-200], idx(Y)),
    "lengths": (idx(X), idx(Y[:-1])),
    "one_class": (idx(X), idx(Y * 0)),
}


@pytest.mark.parametrize("name", [*BAD_IMAGES, "not_a_number"])
def test_bad_images_are_refused_or_end_their_run(yard, name):
    where = yard.work_dir.parent / name
    if name in BAD_IMAGES:
        where.mkdir()
        images, labels = BAD_IMAGES[name]
        ending = ".gz" if images[:2] == b"\x1f\x8b" else ""
        for part in ("train", "t10k"):
            (where / f"{part}-images-idx3-ubyte{ending}").write_bytes(images)
            (where / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    else:
        where = where.with_suffix(".npz")
        images = np.where(X > 250, np.nan, X.astype(np.float32))
        np.savez(where, x_train=images, y_train=Y, x_test=images, y_test=Y)
    response = yard.http.post(
        "/train", json={"model": "cnn", "data": {"source": "images", "uri": where.name}}
    )
    if response.status_code == 202:
        run = yard.ended(response.json()["run_id"])
        assert (run["status"], run["reason"], run["retryable"]) == (
            "FAILED",
            "invalid_data",
            False,
        ), run
        assert len(run["message"]) > 20
    else:
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (
            422,
            "/data/uri",
        ), response.text
