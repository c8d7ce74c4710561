"""A model file in a loop is left out, and the others load."""

import subprocess
import sys
from pathlib import Path

LOOPS = """
while True:
    try:
        while True:
            pass
    except Exception:
        pass
"""
LOAD = """
import signal, sys
from functools import partial
from pathlib import Path
from trainyard.launcher.load_limit import limited
from trainyard.trainer import load_catalogue

catalogue = load_catalogue("json", Path(sys.argv[1]), limit=partial(limited, 0.5))
print({Path(name).name: why for name, why in catalogue.broken.items()})
print(signal.getsignal(signal.SIGALRM) is signal.SIG_DFL, signal.getitimer(signal.ITIMER_REAL))
"""


def test_a_model_file_in_a_loop_is_left_out_and_no_alarm_is_left(tmp_path: Path) -> None:
    (tmp_path / "a_loop.py").write_text(LOOPS)
    (tmp_path / "b_other.py").write_text("")
    said = subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    ).stdout
    assert "'a_loop.py': 'TooSlow: did not load within 0.5 s'" in said
    assert "'b_other.py': 'holds no object" in said
    assert said.endswith("True (0.0, 0.0)\n")
