"""Replicas as containers: what docker-compose.yml says, as written, on a network of the session's own.

Docker gives neither an address nor a host port back to a container that ended, so each replica has its own of both,
chosen once and asked for at every start. A replica that starts again is a new container (its settings may have
changed); what the old one wrote to its log is kept in the session's folder.
"""

import io
import tarfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from environment import images
from environment.compose import Service
from environment.errors import LabError, PortBusy, RuntimeUnavailable
from environment.identity import Identity
from environment.images.engine import ANSWER_SECONDS, asking, connect
from environment.progress import Say
from environment.runtimes import Address, Launch, Status, Usage, replica_id
from environment.runtimes.docker_container import (
    Place,
    as_described,
    container_name,
    is_port_busy,
    read_status,
    read_usage,
    usage_here,
    volume_name,
)
from environment.runtimes.docker_labels import network_labels, own_labels, project, volume_labels
from environment.runtimes.docker_network import SessionNetwork
from environment.runtimes.docker_removal import QUIET_SECONDS, remove_session, sweep_docker
from environment.states import RuntimeKind
from environment.supervisor.ports import PortBlock, holder, is_taken
from environment.waiting import wait_until

__all__ = ["DockerRuntime", "sweep_docker"]


class DockerRuntime:
    """One session's replicas as containers. Methods may be called from several threads, one per replica."""

    name: RuntimeKind = "docker"
    proxy_source: str | None = None

    def __init__(self, session: str, folder: Path, supervisor: Identity, ports: PortBlock) -> None:
        """Connects to the engine. Raises `RuntimeUnavailable`."""
        self._session, self._folder, self._ports = session, folder, ports
        self._labels = own_labels(session, supervisor)
        self._client: DockerClient = connect()
        self._network: SessionNetwork | None = None
        self._images: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._making = 0
        self._lost = False
        self._closed = False
        self._changing = threading.Condition()

    def prepare(self, services: Sequence[Service], say: Say) -> None:
        """Makes ready the images, the network and the volumes; what is there already is left alone."""
        for image in {service.image for service in services}:
            self._images[image] = images.ensure(self._client, image, say)
        if self._network is None:
            say("making the session's network")
            with self._creating():
                name = f"{project(self._session)}_default"
                self._network = SessionNetwork(self._client, name, self._labels | network_labels())
        for volume in sorted({name for service in services for name, _ in service.volumes}):
            with self._creating(), asking(f"make the volume {volume}"):
                self._client.volumes.create(
                    volume_name(self._session, volume), labels=self._labels | volume_labels(volume)
                )
        (self._folder / "logs").mkdir(exist_ok=True)

    def reserve(
        self,
        service: Service,
        replica: int,
        *,
        names: Sequence[str] = (),
        fixed: Mapping[int, int] | None = None,
    ) -> dict[int, Address]:
        name = replica_id(service.name, replica)
        if name not in self._places:
            if self._network is None:
                raise LabError("Nothing is prepared. Call `prepare` before the first replica.")
            ports = {port: self._ports.take((fixed or {}).get(port)) for port in service.ports}
            self._places[name] = Place(service, replica, self._network.take(), names, ports)
        place = self._places[name]
        return {
            port: Address(f"127.0.0.1:{own}", f"{place.address}:{port}", f"0.0.0.0:{port}")
            for port, own in place.ports.items()
        }

    def start(self, launch: Launch) -> None:
        place = self._place(launch.id)
        self._bury(launch.id)
        with self._creating(), asking(f"start {launch.id}"):
            container = self._client.containers.create(**self._described(launch, place))
            try:
                _deliver(container, launch.files)
                container.start()
            except APIError as error:
                # It would stay behind in the state "created".
                with suppress(APIError):
                    container.remove(force=True, v=True)
                if isinstance(error, NotFound) and "network" in str(error.explanation):
                    raise LabError(
                        f"{launch.id} cannot start: the session's network was removed by somebody else. "
                        "Next: `lab down`, then `lab up` again."
                    ) from error
                if is_port_busy(error):
                    ports = list(place.ports.values())
                    port = next(filter(is_taken, ports), ports[0])
                    raise PortBusy(
                        f"{launch.id} cannot start: port {port} on 127.0.0.1 is held by {holder(port)}. "
                        "End that program, or start without `--ports fixed`: free ports are chosen then."
                    ) from error
                raise

    def stop(self, replica: str, grace: float) -> None:
        self._place(replica)
        with asking(f"stop {replica}"), _if_it_is_there():
            container = self._container(replica)
            if container.status == "paused":
                container.unpause()  # a frozen process would not see the signal
            container.kill("SIGTERM")
            # Asked again and again, and not by the engine's own `stop`: that one is silent for the whole grace period,
            # and an engine that hangs would look the same.
            if not wait_until(lambda: self._ended(replica), timeout=grace):
                self.kill(replica)

    def kill(self, replica: str) -> None:
        self._place(replica)
        with asking(f"kill {replica}"), _if_it_is_there():
            self._container(replica).kill("SIGKILL")
            if not wait_until(lambda: self._ended(replica), timeout=ANSWER_SECONDS):
                raise RuntimeUnavailable(
                    f"{replica} did not end when Docker killed it. Restart Docker."
                )

    def reload(self, replica: str, files: Mapping[str, bytes]) -> None:
        self._only_running(replica)
        with asking(f"reload {replica}"):
            container = self._container(replica)
            _deliver(container, files)
            container.kill("SIGHUP")

    def read(self, replica: str, path: str) -> bytes:
        self._place(replica)
        with asking(f"read {path} of {replica}"):
            try:
                blocks, _ = self._container(replica).get_archive(path)
            except NotFound:
                return b""
            return _unpacked(b"".join(blocks))

    def pause(self, replica: str) -> None:
        self._only_running(replica)
        with asking(f"pause {replica}"):
            if self._container(replica).status != "paused":
                self._container(replica).pause()

    def resume(self, replica: str) -> None:
        self._only_running(replica)
        with asking(f"resume {replica}"):
            if self._container(replica).status == "paused":
                self._container(replica).unpause()

    def remove(self, replica: str) -> None:
        if replica in self._places:
            self._bury(replica)
        place = self._places.pop(replica, None)
        if place and self._network:
            self._network.give_back(place.address)
            for port in place.ports.values():
                self._ports.give_back(port)

    def status(self, replica: str) -> Status:
        if replica not in self._places:
            return Status("absent")
        with asking(f"say how {replica} is"):
            try:
                container = self._container(replica)
            except NotFound:
                return Status("absent")
        return read_status(container.attrs)

    def usage(self, replica: str) -> Usage:
        if replica not in self._places:
            return Usage(0, 0.0)
        with asking(f"measure {replica}"):
            try:
                container = self._container(replica)
                if read_status(container.attrs).condition not in ("running", "paused"):
                    return Usage(0, 0.0)
                if here := usage_here(container.attrs):
                    return here
                return read_usage(
                    cast(dict[str, Any], container.stats(stream=False, one_shot=True))
                )
            except NotFound:
                return Usage(0, 0.0)

    def logs(self, replica: str, lines: int) -> str:
        earlier = deque[str](maxlen=lines)
        with (
            suppress(FileNotFoundError),
            self._log(replica).open(encoding="utf-8", errors="replace") as file,
        ):
            earlier.extend(line.rstrip("\n") for line in file)
        with asking(f"give the log of {replica}"), _if_it_is_there():
            now = self._container(replica).logs(tail=lines)
            earlier.extend(now.decode("utf-8", errors="replace").splitlines())
        return "\n".join(earlier)

    def destroy(self) -> None:
        """Removes everything that carries this session's label; waits for what is still being made."""
        with self._changing:
            self._closed = True
            at_work = self._making
        if at_work:
            remove_session(self._client, self._session, quiet=0)
        with self._changing:
            answered = self._changing.wait_for(lambda: not self._making, timeout=2 * ANSWER_SECONDS)
        # When the engine has answered all that we asked for, nothing can appear any more. Where an answer is missing,
        # or an earlier process may have asked, only silence tells.
        known = answered and not self._lost and self._network is not None
        remove_session(self._client, self._session, quiet=0 if known else QUIET_SECONDS)
        with self._changing:
            places, self._places = self._places, {}
        for port in [port for place in places.values() for port in place.ports.values()]:
            self._ports.give_back(port)

    # -- inside ------------------------------------------------------------------------------------------------

    def _described(self, launch: Launch, place: Place) -> dict[str, Any]:
        assert self._network is not None  # an address was reserved on it
        return as_described(
            launch,
            place,
            session=self._session,
            image=self._images.get(launch.service.image, launch.service.image),
            network=self._network.name,
            labels=self._labels,
            api=self._client.api.api_version,
        )

    def _log(self, replica: str) -> Path:
        return self._folder / "logs" / f"{replica}.log"

    def _place(self, replica: str) -> Place:
        try:
            return self._places[replica]
        except KeyError:
            raise LabError(f"No address was reserved for {replica}.") from None

    def _container(self, replica: str) -> Container:
        """The container of a replica, as it is now. Raises `NotFound`."""
        return self._client.containers.get(container_name(self._session, replica))

    def _ended(self, replica: str) -> bool:
        return self.status(replica).condition in ("exited", "absent")

    def _only_running(self, replica: str) -> None:
        self._place(replica)
        if self._ended(replica):
            raise LabError(f"{replica} does not run. Start it with `lab restart`.")

    def _bury(self, replica: str) -> None:
        """Removes what an earlier life left, once its log is safe."""
        with asking(f"remove the old {replica}"), _if_it_is_there():
            container = self._container(replica)
            if container.status in ("running", "paused"):
                self.kill(replica)
            with self._log(replica).open("ab") as file:
                for block in container.logs(stream=True):
                    file.write(block)
            container.remove(force=True, v=True)

    @contextmanager
    def _creating(self) -> Iterator[None]:
        """Around each request that makes something, so that `destroy` knows when there are no more of them."""
        with self._changing:
            if self._closed:
                raise LabError(
                    "This session is ending; nothing is started any more. Start a new one."
                )
            self._making += 1
        try:
            yield
        except RuntimeUnavailable:
            self._lost = True  # the engine may still be at it
            raise
        finally:
            with self._changing:
                self._making -= 1
                self._changing.notify_all()


def _deliver(container: Container, files: Mapping[str, bytes]) -> None:
    """Puts files where volumes are mounted (the rest is read-only); anybody in there may read them."""
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
        container.put_archive(folder, packed.getvalue())


def _unpacked(packed: bytes) -> bytes:
    """The one file that the engine gave us."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        return file.read() if file else b""


@contextmanager
def _if_it_is_there() -> Iterator[None]:
    """Around a deed that is harmless when its container is gone or has ended."""
    try:
        yield
    except NotFound:
        pass
    except APIError as error:
        if "is not running" not in str(error.explanation):
            raise
