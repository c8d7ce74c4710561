"""Imports modules and prints what the process then weighs: `imported.py MODULE...`, run inside an image.

One line of JSON: resident memory in MB, which does not depend on who else runs the image, and the seconds it took.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Import them all, in order."""
    started = time.perf_counter()
    for name in sys.argv[1:]:
        import_module(name)
    seconds = time.perf_counter() - started
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
    print(json.dumps({"mb": round(kilobytes * 1024 / 1e6), "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main()
