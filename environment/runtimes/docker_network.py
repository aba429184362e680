"""A session's own network: a /26 of its own, and an address in it for each replica.

Docker gives the address of a container that has ended to the next one that starts, so an address that shall survive a
kill must be asked for by name.
"""

import random
import socket
import struct
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, collapse_addresses
from pathlib import Path

import psutil
from docker import DockerClient
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from environment.errors import LabError
from environment.images.engine import asking

RANGES = tuple(map(IPv4Network, ("10.213.0.0/16", "172.30.0.0/16", "192.168.192.0/18")))
"""Private ranges to take subnets from: those that home routers and Docker itself use last."""

PREFIX = 26
_TRIES = 30
_ROUTES = Path("/proc/net/route")


class SessionNetwork:
    """One network of the engine, with the addresses that replicas hold."""

    def __init__(self, client: DockerClient, name: str, labels: Mapping[str, str]) -> None:
        """Make the network. Raises `LabError` when no subnet is free."""
        self.name = name
        self.subnet = _create(client, name, dict(labels))
        _gateway, *hosts = self.subnet.hosts()
        self._free = [str(host) for host in hosts]

    def take(self) -> str:
        """Return an address that no replica holds."""
        if not self._free:
            raise LabError("This session has used up its addresses. Scale something down.")
        return self._free.pop(0)

    def give_back(self, address: str) -> None:
        """Make an address free again."""
        # At the end of the queue: a client that still has the old owner's address shall not reach another replica.
        self._free.append(address)


def _create(client: DockerClient, name: str, labels: dict[str, str]) -> IPv4Network:
    with asking("make a network"):
        for _ in range(_TRIES):
            subnet = free_subnet(_used(client))
            pool = IPAMPool(subnet=str(subnet), gateway=str(next(subnet.hosts())))
            try:
                client.api.create_network(
                    name,
                    driver="bridge",
                    ipam=IPAMConfig(pool_configs=[pool]),
                    labels=labels,
                    check_duplicate=True,
                )
                return subnet
            except APIError as error:
                # Another session was faster, or it overlaps with something that only the engine sees.
                if "overlap" not in str(error.explanation).lower():
                    raise
    raise LabError(
        "No free subnet was found for this session's network. Remove unused networks "
        "(`docker network prune`), then start again."
    )


def free_subnet(used: list[IPv4Network]) -> IPv4Network:
    """Return a subnet that overlaps none of `used`, at random: two sessions at the same time rarely choose the same."""
    for parent in random.sample(RANGES, len(RANGES)):
        count = 2 ** (PREFIX - parent.prefixlen)
        for number in random.sample(range(count), count):
            start = int(parent.network_address) + number * 2 ** (32 - PREFIX)
            subnet = IPv4Network((start, PREFIX))
            if not any(subnet.overlaps(other) for other in used):
                return subnet
    raise LabError(
        "Every private subnet that we try is used by networks of this machine. Remove unused Docker networks "
        "(`docker network prune`), or leave a VPN, then start again."
    )


def _used(client: DockerClient) -> list[IPv4Network]:
    """Return the subnets of Docker's networks and of this machine's interfaces and routes (VPNs)."""
    used = [
        IPv4Network(config["Subnet"], strict=False)
        for network in client.api.networks()
        for config in (network.get("IPAM") or {}).get("Config") or []
        if "." in config.get("Subnet", "")
    ]
    return list(collapse_addresses([*used, *_interfaces(), *_routes()]))


def _interfaces() -> Iterator[IPv4Network]:
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET and one.netmask:
                yield IPv4Network(f"{one.address}/{one.netmask}", strict=False)


def _routes() -> Iterator[IPv4Network]:
    try:
        lines = _ROUTES.read_text().splitlines()[1:]
    except OSError:  # not Linux: Docker lives in a machine of its own there
        return
    for line in lines:
        _name, target, _gateway, _flags, _count, _use, _metric, mask, *_ = line.split()
        # The kernel prints addresses as numbers in the machine's byte order.
        length = int(mask, 16).bit_count()
        if length:  # all but the default route
            yield IPv4Network((struct.pack("=I", int(target, 16)), length))
