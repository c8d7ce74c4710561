"""The script that a service replaces: read, split, fit with autologging, test, log, register.

python plain_run.py TRACKING_URI CSV TARGET DROP ROUNDS
"""

import sys

import mlflow
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

tracking_uri, path, target, drop, rounds = sys.argv[1:]
mlflow.set_tracking_uri(tracking_uri)
mlflow.set_experiment("bench-plain")
mlflow.xgboost.autolog(registered_model_name="bench-plain")
frame = pd.read_csv(path).drop(columns=drop.split(",") if drop else [])
for name in frame.select_dtypes(include=["object", "string"]):
    frame[name] = frame[name].astype("category")
x, y = frame.drop(columns=target), frame[target]
x_rest, x_test, y_rest, y_test = train_test_split(x, y, test_size=0.2, random_state=42, stratify=y)
x_train, x_validation, y_train, y_validation = train_test_split(
    x_rest, y_rest, test_size=0.125, random_state=42, stratify=y_rest
)
with mlflow.start_run():
    model = XGBClassifier(
        n_estimators=int(rounds), enable_categorical=True, n_jobs=2, random_state=42
    )
    model.fit(
        x_train, y_train, eval_set=[(x_train, y_train), (x_validation, y_validation)], verbose=False
    )
    predicted = model.predict_proba(x_test)
    mlflow.log_metrics(
        {
            "test_roc_auc": roc_auc_score(y_test, predicted[:, 1]),
            "test_log_loss": log_loss(y_test, predicted),
        }
    )
