"""Host ports that stay ours."""

import socket
import time

import pytest

from environment.errors import LabError, PortBusy
from environment.supervisor.ports import BLOCK, BLOCKS, FIRST, PortBlock


def test_two_blocks_never_share_a_port() -> None:
    blocks: list[PortBlock] = []
    with pytest.raises(LabError, match="lab down --all"):
        blocks.extend(PortBlock() for _ in range(BLOCKS + 1))
    ports = [block.take() for block in blocks]
    for block in blocks:
        block.close()
    assert len(set(ports)) == len(blocks) <= BLOCKS


def test_a_port_with_a_listener_is_passed_over() -> None:
    block = PortBlock()
    first = block.take()
    with socket.socket() as other:
        other.bind(("127.0.0.1", first + 1))
        other.listen()
        assert block.take() == first + 2
    block.close()


def test_a_busy_fixed_port_names_holder_and_next_step() -> None:
    block = PortBlock()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortBusy, match=r"held by .*pid \d+.*free ports"):
            block.take(other.getsockname()[1])
    block.close()


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    block = PortBlock()
    assert FIRST <= block.take() < 32_768
    assert FIRST + BLOCK * 120 <= 32_768
    block.close()


def test_a_port_given_back_is_taken_again() -> None:
    block = PortBlock()
    ports = [block.take() for _ in range(BLOCK - 1)]
    block.give_back(ports[5])
    assert block.take() == ports[5]
    block.close()


def test_a_block_given_up_is_taken_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sessions at a time for a minute, each pair a second after the one before, while another session lasts."""
    lasting, now = PortBlock(), time.monotonic()
    taken = []
    for second in range(BLOCKS // 2 - 5):
        monkeypatch.setattr(time, "monotonic", lambda at=now + second: at)
        pair = [PortBlock(), PortBlock()]
        taken += [block.take() // BLOCK for block in pair]
        for block in pair:
            block.close()
    lasting.close()
    assert len(set(taken)) >= len(taken) - 5, "each was free again, and only what is held repeats"
