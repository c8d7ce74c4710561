"""`python -m trainyard.cli`, the same as the command `trainyard`."""

from trainyard.cli.main import main

main()
