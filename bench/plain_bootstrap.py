"""How long the interval of two models' difference takes: the area under the ROC curve on 10,000 rows, in seconds.

python plain_bootstrap.py [scikit-learn]

With the argument: the same 1,000 resamples measured by scikit-learn, one after the other.
"""

import sys
import time

import numpy as np
from sklearn.metrics import roc_auc_score
from trainyard.trainer import Part
from trainyard.worker.bootstrap import RESAMPLES, interval_of_difference

ROWS = 10_000
random = np.random.default_rng(0)
y = random.integers(0, 2, ROWS)
scores = [1 / (1 + np.exp(-(y - 0.5 + random.normal(size=ROWS)))) for _ in range(2)]
mine, theirs = (np.column_stack([1 - each, each]) for each in scores)
started = time.perf_counter()
if sys.argv[1:]:
    for _ in range(RESAMPLES):
        rows = random.integers(0, ROWS, ROWS)
        roc_auc_score(y[rows], scores[0][rows]) - roc_auc_score(y[rows], scores[1][rows])
else:
    interval_of_difference(
        "roc_auc",
        mine,
        theirs,
        Part(None, y, None),
        (0, 1),
        difference=0.0,
        confidence=0.95,
        seed=0,
    )
print(time.perf_counter() - started)
