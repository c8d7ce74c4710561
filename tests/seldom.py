"""`python seldom.py PROGRAM ARGUMENT…` or `-c CODE ARGUMENT…`: a program that imports MLflow, Airflow or a framework, with few rounds of the garbage collector.

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
if sys.argv[0] == "-c":
    sys.path[0] = ""
    exec(sys.argv.pop(1), {"__name__": "__main__"})
else:
    sys.path[0] = os.path.dirname(sys.argv[0])  # noqa: PTH120 - pathlib is not imported for this
    runpy.run_path(sys.argv[0], run_name="__main__")
