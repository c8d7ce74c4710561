"""`python seldom.py PROGRAM ARGUMENT…`: a program of MLflow or Airflow, with few rounds of the garbage collector.

To look again and again through all that these import is a third of their start, and a tenth of what they do later.
What they fork is as they are.
"""

import gc
import os
import runpy
import sys

NEW_OBJECTS = 100_000
"""After which the collector looks through what is new; Python's own number is 700."""

gc.set_threshold(NEW_OBJECTS, 50, 100)
del sys.argv[0]
sys.path[0] = os.path.dirname(sys.argv[0])  # noqa: PTH120 - pathlib is not imported for this
runpy.run_path(sys.argv[0], run_name="__main__")
