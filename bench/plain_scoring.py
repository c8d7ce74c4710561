"""The script that a scoring replaces: a model of MLflow predicts for a Parquet table in chunks with pandas.

python plain_scoring.py TRACKING_URI MODEL_URI PARQUET OUTPUT

Prints the seconds from loading the model until the predictions are an artifact of a run; imports are not counted.
"""

import sys
import time

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 65_536
tracking_uri, model_uri, path, output = sys.argv[1:]
mlflow.set_tracking_uri(tracking_uri)
mlflow.set_experiment("bench-plain-scoring")
started = time.perf_counter()
with mlflow.start_run():
    model = mlflow.pyfunc.load_model(model_uri)
    names = model.metadata.get_input_schema().input_names()
    writer = None
    for batch in pq.ParquetFile(path).iter_batches(CHUNK, columns=names):
        answer = model.predict(batch.to_pandas(), params={"method": "predict_proba"})
        chunk = pa.Table.from_pandas(answer, preserve_index=False)
        writer = writer or pq.ParquetWriter(output, chunk.schema)
        writer.write_table(chunk)
    writer.close()
    mlflow.log_artifact(output)
print(time.perf_counter() - started)
