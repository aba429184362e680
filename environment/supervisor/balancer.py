"""nginx in front of the services: tells it who serves, and reads what it has logged."""

import os
import threading
from collections import Counter
from typing import Any

from environment.errors import LabError
from environment.nginx import PROXY, Balance, Upstream, render
from environment.runtimes import Address, Runtime, replica_id
from environment.supervisor.plan import Plan
from environment.waiting import wait_until

FOLDER = "/etc/nginx"
RELOAD_SECONDS = 10.0
FAREWELL, ALARM = "gracefully shutting down", "[emerg]"
"""nginx's words: an old worker's when it has stopped listening, and the master's when it keeps to the old."""

_EVERYTHING = 1_000_000
"""Lines of nginx's error log."""


class Balancer:
    """The proxy of one session, if its phase has one. Without one every method does nothing."""

    def __init__(self, runtime: Runtime, plan: Plan) -> None:
        self._runtime, self._plan = runtime, plan
        self._id = replica_id(PROXY, 1)
        self._addresses: dict[int, Address] = {}
        self._balances: dict[str, Balance] = {}
        self._known: dict[str, str] = {}
        self._reloading = threading.Lock()

    def stands_at(self, addresses: dict[int, Address]) -> None:
        """Where the proxy is, by described port."""
        self._addresses = addresses

    def url(self, service: str) -> str | None:
        """The address of a service's front; None when it has none."""
        port = self._plan.front(service)
        return f"http://{self._addresses[port].outside}" if port in self._addresses else None

    def files(self) -> dict[str, bytes]:
        """The configuration for the replicas as they are planned now."""
        upstreams = []
        for service, port in self._plan.fronted().items():
            balance = self._balances.get(service, Balance())
            servers = []
            for replica in self._plan.of(service):
                self._known[replica.inside] = replica.id
                line = balance.server(replica.number, replica.inside, down=not replica.serving)
                servers.append(line)
            upstreams.append(Upstream(service, self._addresses[port].listen, servers, balance))
        root = self._runtime.name == "process" and os.geteuid() == 0
        text = render(upstreams, source=self._runtime.proxy_source, user="root" if root else None)
        return {f"{FOLDER}/nginx.conf": text.encode()}

    def balance(self, services: list[str], balance: Balance) -> None:
        """How these services' next server is chosen from now on; when nginx refuses it, all stays as it was."""
        before = dict(self._balances)
        self._balances |= dict.fromkeys(services, balance)
        try:
            self.follow()
        except BaseException:
            self._balances = before
            self.follow()
            raise

    def follow(self) -> None:
        """Makes a running nginx serve by the plan as it is now; afterwards no new connection goes by the old one.

        Requests under way end as they began, and a client's idle connection carries one more by the old plan. A proxy
        that is down reads the plan when it starts.
        """
        if not self._addresses or self._runtime.status(self._id).condition != "running":
            return
        with self._reloading:
            before = self._said()
            self._runtime.reload(self._id, self.files())
            # There is one worker, and it says farewell once.
            wait_until(lambda: self._said() != before, timeout=RELOAD_SECONDS, give_up=self._down)
            if self._said()[FAREWELL] == before[FAREWELL]:
                last = self._logged(5)
                raise LabError(f"nginx did not take its new configuration. Its last lines:\n{last}")

    def log(self) -> dict[str, Any]:
        """The access log as nginx wrote it, and the replica at each address that it ever knew."""
        if not self._addresses:
            raise LabError(f"{self._plan.spec.phase} has no nginx, and so no access log.")
        text = self._runtime.read(self._id, f"{FOLDER}/access.log").decode(errors="replace")
        return {"lines": text, "replicas": self._known}

    def _logged(self, lines: int) -> str:
        return self._runtime.logs(self._id, lines)

    def _said(self) -> Counter[str]:
        """How often nginx has said its words, in all its lives."""
        log = self._logged(_EVERYTHING)
        return Counter({words: log.count(words) for words in (FAREWELL, ALARM)})

    def _down(self) -> bool:
        return self._runtime.status(self._id).condition != "running"
