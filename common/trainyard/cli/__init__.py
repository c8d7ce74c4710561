"""The command `trainyard`: train, watch and promote from a terminal or a script."""

from trainyard.cli.exits import EXIT_CODES, Exit
from trainyard.cli.main import main

__all__ = ["EXIT_CODES", "Exit", "main"]
