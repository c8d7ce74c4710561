"""All that speaks to MLflow's tracking server."""
