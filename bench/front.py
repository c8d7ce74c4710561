"""The boosting service over the hosts of `fake_hosts.py` in place of Ray's: everything else of it is as it is."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainyard.cli import main
from trainyard.launcher import remote_launcher

FAKE = Path(__file__).with_name("fake_hosts.py")


class OverFakeHosts(remote_launcher.RemoteLauncher):
    """The launcher with another bridge."""

    def __init__(self, *parts: Any, bridge: Sequence[str], **named: Any) -> None:
        super().__init__(*parts, bridge=[str(FAKE), *bridge[2:]], **named)


if __name__ == "__main__":
    remote_launcher.RemoteLauncher = OverFakeHosts  # type: ignore[misc]
    sys.argv = ["trainyard", "serve"]
    main()
