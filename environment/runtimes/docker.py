"""Replicas as containers: the services of docker-compose.yml, as described, on a network of the session's own.

Docker gives neither an address nor a host port back to a container that ended, so each replica has its own of both,
chosen once and asked for at every start. A replica that starts again is a new container (its settings may have
changed); what the old one wrote to its log is kept in the session's folder.
"""

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
from environment.images.engine import ANSWER_SECONDS, WORK_SECONDS, asking, connect
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
from environment.runtimes.docker_creations import Creations
from environment.runtimes.docker_files import get_file, put_files
from environment.runtimes.docker_labels import network_labels, own_labels, project, volume_labels
from environment.runtimes.docker_network import SessionNetwork
from environment.runtimes.docker_removal import QUIET_SECONDS, remove_session
from environment.states import RuntimeKind
from environment.supervisor.ports import PortBlock, holder, is_taken
from environment.waiting import wait_until


class DockerRuntime:
    """One session's replicas as containers. Methods may be called from several threads, one per replica."""

    name: RuntimeKind = "docker"
    proxy_source: str | None = None

    def __init__(self, session: str, folder: Path, supervisor: Identity, ports: PortBlock) -> None:
        """Connect to the engine. Raises `RuntimeUnavailable`."""
        self._session, self._folder, self._ports = session, folder, ports
        self._labels = own_labels(session, supervisor)
        self._client: DockerClient = connect(patience=WORK_SECONDS)
        self._network: SessionNetwork | None = None
        self._images: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._creations = Creations()

    def prepare(self, services: Sequence[Service], say: Say) -> None:
        """Make the images, the network and the volumes that are missing."""
        for image in {service.image for service in services}:
            self._images[image] = images.ensure(self._client, image, say)
        if self._network is None:
            say("making the session's network")
            with self._creations.request():
                name = f"{project(self._session)}_default"
                self._network = SessionNetwork(self._client, name, self._labels | network_labels())
        for volume in sorted({name for service in services for name, _ in service.volumes}):
            with self._creations.request(), asking(f"make the volume {volume}"):
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
        """Reserve an address on the session's network, and a host port for each described port."""
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
        """Start a new container at the replica's address; the log of an earlier one is kept."""
        place = self._place(launch.id)
        self._remove_container(launch.id)
        with self._creations.request(), asking(f"start {launch.id}"):
            container = self._client.containers.create(**self._described(launch, place))
            try:
                put_files(container, launch.files, launch.service.user)
                container.start()
            except APIError as error:
                # It would stay behind in the state "created".
                with suppress(APIError):
                    container.remove(force=True, v=True)
                if isinstance(error, NotFound) and "network" in str(error.explanation):
                    raise LabError(
                        f"{launch.id} cannot start: the session's network was removed by another program. "
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
        """Send the service's signal to stop, and SIGKILL after `grace` seconds."""
        self._place(replica)
        with asking(f"stop {replica}"), _if_it_is_there():
            container = self._container(replica)
            if container.status == "paused":
                container.unpause()  # a frozen process would not see the signal
            container.kill(self._place(replica).service.stop_signal)
            # Polled, and not by the engine's own `stop`: that one gives no sign for the whole grace period, and an
            # engine that hangs would look the same.
            if not wait_until(lambda: self._ended(replica), timeout=grace):
                self.kill(replica)

    def kill(self, replica: str) -> None:
        """Send SIGKILL; return when the container has ended."""
        self._place(replica)
        with asking(f"kill {replica}"), _if_it_is_there():
            self._container(replica).kill("SIGKILL")
            if not wait_until(lambda: self._ended(replica), timeout=WORK_SECONDS):
                raise RuntimeUnavailable(
                    f"{replica} did not end when Docker killed it. Restart Docker."
                )

    def reload(self, replica: str, files: Mapping[str, bytes]) -> None:
        """Put files on the volumes and send SIGHUP."""
        self._require_running(replica)
        with asking(f"reload {replica}"):
            container = self._container(replica)
            put_files(container, files, self._place(replica).service.user)
            container.kill("SIGHUP")

    def read(self, replica: str, path: str) -> bytes:
        """Return the content of a file in the container; empty when there is none."""
        self._place(replica)
        with asking(f"read {path} of {replica}"):
            try:
                return get_file(self._container(replica), path)
            except NotFound:
                return b""

    def pause(self, replica: str) -> None:
        """Freeze the container; harmless when it is frozen."""
        self._require_running(replica)
        with asking(f"pause {replica}"):
            if self._container(replica).status != "paused":
                self._container(replica).pause()

    def resume(self, replica: str) -> None:
        """Unfreeze the container; harmless when it is not frozen."""
        self._require_running(replica)
        with asking(f"resume {replica}"):
            if self._container(replica).status == "paused":
                self._container(replica).unpause()

    def remove(self, replica: str) -> None:
        """Remove the container and give its address and ports back."""
        if replica in self._places:
            self._remove_container(replica)
        place = self._places.pop(replica, None)
        if place and self._network:
            self._network.give_back(place.address)
            for port in place.ports.values():
                self._ports.give_back(port)

    def status(self, replica: str) -> Status:
        """Return the condition of the container."""
        if replica not in self._places:
            return Status("absent")
        with asking(f"say how {replica} is"):
            try:
                container = self._container(replica)
            except NotFound:
                return Status("absent")
        return read_status(container.attrs)

    def usage(self, replica: str) -> Usage:
        """Return the memory and CPU time of the container."""
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
        """Return the last lines of all the replica's containers."""
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
        """Remove everything that carries this session's label; wait for what is still being made."""
        if self._creations.close():
            remove_session(self._client, self._session, quiet=0)
        answered = self._creations.all_answered(timeout=WORK_SECONDS + ANSWER_SECONDS)
        # When the engine has answered all our requests, nothing can appear any more. Where a response is missing, or
        # an earlier process may have sent requests, the only evidence is that nothing appears for a while.
        known = answered and self._network is not None
        remove_session(self._client, self._session, quiet=0 if known else QUIET_SECONDS)
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
        """Return the container of a replica, as it is now. Raises `NotFound`."""
        return self._client.containers.get(container_name(self._session, replica))

    def _ended(self, replica: str) -> bool:
        return self.status(replica).condition in ("exited", "absent")

    def _require_running(self, replica: str) -> None:
        self._place(replica)
        if self._ended(replica):
            raise LabError(f"{replica} does not run. Start it with `lab restart`.")

    def _remove_container(self, replica: str) -> None:
        """Remove the container of an earlier life, once its log is copied."""
        with asking(f"remove the old {replica}"), _if_it_is_there():
            container = self._container(replica)
            if container.status in ("running", "paused"):
                self.kill(replica)
            with self._log(replica).open("ab") as file:
                for block in container.logs(stream=True):
                    file.write(block)
            container.remove(force=True, v=True)


@contextmanager
def _if_it_is_there() -> Iterator[None]:
    """Surround an action that is harmless when its container is gone or has ended."""
    try:
        yield
    except NotFound:
        pass
    except APIError as error:
        if "is not running" not in str(error.explanation):
            raise
