"""Files on the volumes of a container: the engine takes and gives them as tar archives."""

import io
import tarfile
from collections.abc import Mapping

from docker.models.containers import Container


def put_files(container: Container, files: Mapping[str, bytes], user: str | None) -> None:
    """Put files where volumes are mounted (the rest is read-only), readable for `user` (`uid:gid`) only."""
    owner, _, group = (user or "0").partition(":")
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600  # a file may hold a password
            entry.uid, entry.gid = int(owner), int(group or owner)
            tar.addfile(entry, io.BytesIO(content))
        container.put_archive(folder, packed.getvalue())


def get_file(container: Container, path: str) -> bytes:
    """Return the content of a file. Raises `docker.errors.NotFound`."""
    blocks, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(blocks))) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        return file.read() if file else b""
