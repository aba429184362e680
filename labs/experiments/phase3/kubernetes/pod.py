"""What a Deployment or StatefulSet runs: its containers' image, ports, probes, disks and limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from environment.errors import DescriptionError
from labs.experiments.phase3.kubernetes.manifests import Manifest, title

_QUANTITIES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

PING = (
    "bash",
    "-c",
    "exec 3<>/dev/tcp/127.0.0.1/$PORT && echo PING >&3 && read -r -t 2 said <&3 && [[ $said == +PONG* ]]",
)
"""The command by which a probe checks Valkey, whose protocol Kubernetes does not speak.

It runs in the container, whose `$PORT` it is.
"""

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Pod:
    """What a Deployment or StatefulSet makes copies of: here always one container."""

    workload: Manifest

    @property
    def spec(self) -> dict[str, Any]:
        """The Pod template's specification."""
        spec: dict[str, Any] = self.workload["spec"]["template"]["spec"]
        return spec

    @property
    def labels(self) -> Labels:
        """The Pod template's labels."""
        labels: Labels = self.workload["spec"]["template"]["metadata"]["labels"]
        return labels

    @cached_property
    def container(self) -> dict[str, Any]:
        """The only one; a second is an error."""
        containers: list[dict[str, Any]] = self.spec["containers"]
        if len(containers) != 1:
            raise DescriptionError(f"{title(self.workload)}: expected one container")
        return containers[0]

    @property
    def ports(self) -> dict[str, int]:
        """The container's ports by name, or by number where they have none."""
        ports = self.container.get("ports", ())
        return {
            port.get("name", str(port["containerPort"])): port["containerPort"] for port in ports
        }

    @property
    def variables(self) -> dict[str, str]:
        """The variables whose values are written with the container itself."""
        variables = self.container.get("env", ())
        return {item["name"]: item["value"] for item in variables if "value" in item}

    @property
    def security(self) -> dict[str, Any]:
        """How the container is confined; empty when it is not."""
        context: dict[str, Any] = self.container.get("securityContext", {})
        return context

    @property
    def user(self) -> str | None:
        """`uid:gid`, as Compose writes it; None where the image's user may be root."""
        context = self.spec.get("securityContext", {})
        if not context.get("runAsNonRoot"):
            return None
        return f"{context.get('runAsUser')}:{context.get('runAsGroup')}"

    @property
    def memory_limit(self) -> int | None:
        """The container's memory limit in bytes; None without one."""
        text = self.container.get("resources", {}).get("limits", {}).get("memory")
        match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", str(text))
        return int(match[1]) * _QUANTITIES[match[2]] if match else None

    @property
    def grace_seconds(self) -> int:
        """The rest of the grace period, after the pause before SIGTERM."""
        pause = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        return int(self.spec.get("terminationGracePeriodSeconds", 30) - pause.get("seconds", 0))

    def probe(self, name: str) -> tuple[str, int | None]:
        """Return what a probe checks: an HTTP path, `tcp` or `valkey`, and the port's number.

        `("nothing", None)` where there is no such probe.
        """
        probe = self.container.get(name, {})
        if tuple(probe.get("exec", {}).get("command", ())) == PING:
            return "valkey", self.port(int(self.variables["PORT"]))
        check = probe.get("httpGet") or probe.get("tcpSocket")
        if not check:
            return "nothing", None
        return check.get("path", "tcp"), self.port(check["port"])

    def port(self, name: str | int) -> int | None:
        """Return the number of a port given by name or number; None where no container listens."""
        if isinstance(name, int):
            return name if name in self.ports.values() else None
        return self.ports.get(name)

    @property
    def temporary(self) -> list[str]:
        """Paths of folders that are removed with the Pod."""
        kept = {volume["name"] for volume in self.spec.get("volumes", ()) if "emptyDir" in volume}
        return [path for name, path in self._mounts if name in kept]

    @property
    def volumes(self) -> list[tuple[str, str]]:
        """Disks that outlive the Pod, as (claim, path)."""
        claims = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in self.spec.get("volumes", ())
            if "persistentVolumeClaim" in volume
        }
        for claim in self.workload["spec"].get("volumeClaimTemplates", ()):
            claims[claim["metadata"]["name"]] = claim["metadata"]["name"]
        return [(claims[name], path) for name, path in self._mounts if name in claims]

    @property
    def _mounts(self) -> list[tuple[str, str]]:
        return [
            (item["name"], item["mountPath"]) for item in self.container.get("volumeMounts", ())
        ]
