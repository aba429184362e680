"""New random ids."""

import random
from uuid import UUID


def new_id() -> str:
    """Return a random UUID. It costs no system call, each of which would let other threads run first."""
    return str(UUID(int=random.getrandbits(128), version=4))


def new_hex(size: int) -> str:
    """Return `size` random bytes in hexadecimal."""
    return f"{random.getrandbits(8 * size):0{2 * size}x}"
