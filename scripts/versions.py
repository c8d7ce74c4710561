"""Imports what an environment is for and prints its versions: `versions.py ENVIRONMENT`."""

import sys
from importlib import import_module
from importlib.util import find_spec

FRAMEWORKS = (
    "xgboost",
    "lightgbm",
    "tensorflow",
    "keras",
    "torch",
    "lightning",
    "mlflow",
    "airflow",
    "nicegui",
)


def main() -> None:
    """Print one line: the environment, then each framework that it holds."""
    found = [f"{name} {import_module(name).__version__}" for name in FRAMEWORKS if find_spec(name)]
    print(f"{sys.argv[1]}: {', '.join(found)}")


if __name__ == "__main__":
    main()
