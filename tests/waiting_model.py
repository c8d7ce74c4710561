"""A model whose predictions wait for the test."""

WAITING = """
import time
from pathlib import Path

import mlflow.models
import mlflow.pyfunc
import pandas as pd


class Waiting(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        Path({asked!r}).touch()
        while not Path({gate!r}).exists():
            time.sleep(0.02)
        half = pd.Series(0.5, index=model_input.index)
        return pd.DataFrame({{label: half for label in {labels!r}}})


mlflow.models.set_model(Waiting())
"""
"""A model of two classes, `labels`, that touches `asked` and answers once there is a file `gate`."""
