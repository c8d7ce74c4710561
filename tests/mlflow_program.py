"""`mlflow server` in one process: Uvicorn takes the place of the command, where MLflow has a second process import all of it anew."""

import os
import runpy
import sys
from typing import Any
from unittest.mock import patch

from mlflow.cli import cli


def in_place(command: list[Any], *, extra_env: dict[str, str], **_: Any) -> None:
    """Carry out `python -m uvicorn …` here."""
    os.environ.update(extra_env)
    _python, _m, module, *arguments = map(str, command)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


with patch("mlflow.server._exec_cmd", in_place):
    cli()
