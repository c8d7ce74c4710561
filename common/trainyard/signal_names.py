"""What signals are called."""

import signal


def signal_name(number: int) -> str:
    """Such as `SIGKILL`; one of Linux's real-time signals has a number alone."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
