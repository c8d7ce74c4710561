"""The bridge's process: `python -m trainyard.host.bridging INSTANCE HEAD ADDRESS FD`.

It first starts a node of Ray's on this host, which a driver needs, and which takes longer than all that it imports then.
"""

import signal
import socket
import sys

from trainyard.host.cluster import Raylet, own_address


def main(instance: str, head: str, named: str, descriptor: str) -> None:
    """Join the cluster with a node that runs nothing, and bridge."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    service = socket.socket(fileno=int(descriptor))
    service.set_inheritable(False)
    address = own_address(head, named)
    raylet = Raylet.start(head, address)
    try:
        from trainyard.host.bridge import bridge

        raylet.wait()
        bridge(instance, head, address, service)
    finally:
        raylet.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
