"""MLflow's model registry: register a model once, name it by an alias, promote it by a metric, roll back."""
