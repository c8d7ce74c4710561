"""Training as a service: one HTTP call trains a model in a process of its own and leaves it in MLflow."""

__version__ = "0.1.0"
