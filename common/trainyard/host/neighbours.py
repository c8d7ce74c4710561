"""Whether this host reaches the hosts of a run's other ranks: a link between two hosts may be cut that both reach the service.

The ranks themselves notice that only when a collective's time is over, because a packet that is dropped is no error. So
the host connects now and then to what Ray listens on at each of the others, and hangs up again.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

LOOK_SECONDS = 2.0
CONNECT_SECONDS = 4.0
CUT_SECONDS = 10.0
"""After so long without a connection a host is cut off from here,"""
CUT_LOOKS = 2
"""and so many looks: where this process stood still for that long, nobody has looked."""


async def first_cut_off(addresses: Sequence[str]) -> str:
    """The first of these, each `host:port`, that cannot be reached any more; waits for as long as all can."""
    watches = [asyncio.create_task(_until_cut_off(each)) for each in addresses]
    try:
        over, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        return over.pop().result()
    finally:
        for watch in watches:
            watch.cancel()


async def _until_cut_off(address: str) -> str:
    clock = asyncio.get_running_loop().time
    reached, failed = clock(), 0
    while failed < CUT_LOOKS or clock() < reached + CUT_SECONDS:
        if await _reaches(address):
            reached, failed = clock(), 0
        else:
            failed += 1
        await asyncio.sleep(LOOK_SECONDS)
    return address


async def _reaches(address: str) -> bool:
    """A refusal is an answer too: what died there is for the service to see."""
    host, _, port = address.rpartition(":")
    with suppress(OSError):
        async with asyncio.timeout(CONNECT_SECONDS):
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return True
            writer.close()
            return True
    return False
