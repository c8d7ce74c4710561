"""A service's `cnn` trained by the same function in a plain script: prints the seconds of it.

python plain_network.py DATASET DATA_DIR THREADS SEED PARAMS
"""

import sys
import tempfile
import time
from pathlib import Path

from trainyard.contract import BuiltinData, Split
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.service import installed_service
from trainyard.trainer import Training, load_catalogue

name, data_dir, threads, seed, params = sys.argv[1:]
cnn = load_catalogue(installed_service().package, None).trainers["cnn"]
access = DataAccess((), Path(data_dir), (), None)
data = load(
    BuiltinData(source="builtin", name=name), Split(), task=cnn.task, kinds=cnn.data, access=access
)
with tempfile.TemporaryDirectory() as folder:
    training = Training(
        seed=int(seed),
        threads=int(threads),
        checkpoints=Path(folder),
        report=lambda save=None, **_: save and save(),
        checkpoint_due=lambda: False,
    )
    started = time.perf_counter()
    cnn.train(cnn.params.model_validate_json(params), data, training)
    print(time.perf_counter() - started)
