"""The library alone on a Parquet table: prints the seconds of the fit.

python plain_fit.py PARQUET TARGET ROUNDS
"""

import sys
import time

import pandas as pd
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

path, target, rounds = sys.argv[1:]
frame = pd.read_parquet(path)
x, y = frame.drop(columns=target), frame[target]
x_rest, x_test, y_rest, y_test = train_test_split(x, y, test_size=0.2, random_state=42, stratify=y)
x_train, x_validation, y_train, y_validation = train_test_split(
    x_rest, y_rest, test_size=0.125, random_state=42, stratify=y_rest
)
model = XGBClassifier(n_estimators=int(rounds), enable_categorical=True, n_jobs=2, random_state=42)
started = time.perf_counter()
model.fit(
    x_train, y_train, eval_set=[(x_train, y_train), (x_validation, y_validation)], verbose=False
)
print(time.perf_counter() - started)
