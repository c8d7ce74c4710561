"""The peer of a warm fork: a fresh process that imports what a training script imports, to its first own line."""

import mlflow.xgboost  # noqa: F401
import pandas as pd  # noqa: F401
import sklearn.model_selection  # noqa: F401
import xgboost  # noqa: F401

print("first line")
