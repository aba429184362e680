"""nginx in front of the services: configured from the plan, reloaded when that changes, its log read."""

import os
import threading
from collections import Counter

from environment.errors import LabError
from environment.nginx import PROXY, Balance, Upstream, render
from environment.runtimes import Address, Runtime, replica_id
from environment.states import AccessLog
from environment.supervisor.plan import Plan
from environment.waiting import wait_until

FOLDER = "/etc/nginx"
RELOAD_SECONDS = 10.0
SHUTDOWN_LINE = "gracefully shutting down"
"""What an old worker logs when it has stopped listening."""

REFUSAL_LINE = "[emerg]"
"""What the master logs when it refuses a new configuration and keeps the old one."""

_ALL_LINES = 1_000_000
"""Of nginx's error log."""


class Balancer:
    """The proxy of one session, if its phase has one. Without one every method does nothing."""

    def __init__(self, runtime: Runtime, plan: Plan) -> None:
        self._runtime, self._plan = runtime, plan
        self._id = replica_id(PROXY, 1)
        self._addresses: dict[int, Address] = {}
        self._balances: dict[str, Balance] = {}
        self._replicas_at: dict[str, str] = {}
        self._reloading = threading.Lock()
        self.stale = False
        """Whether the plan has changed since nginx last followed it."""

    def set_addresses(self, addresses: dict[int, Address]) -> None:
        """Set the proxy's addresses, by described port."""
        self._addresses = addresses

    def url(self, service: str) -> str | None:
        """Return the address of a service's front; None when it has none."""
        port = self._plan.front(service)
        return f"http://{self._addresses[port].outside}" if port in self._addresses else None

    def files(self) -> dict[str, bytes]:
        """Return the configuration for the replicas as they are planned now."""
        upstreams = []
        for service, port in self._plan.fronted().items():
            balance = self._balances.get(service, Balance())
            servers = []
            for replica in self._plan.of(service):
                self._replicas_at[replica.inside] = replica.id
                line = balance.server(replica.number, replica.inside, down=not replica.serving)
                servers.append(line)
            upstreams.append(Upstream(service, self._addresses[port].listen, servers, balance))
        root = self._runtime.name == "process" and os.geteuid() == 0
        text = render(upstreams, source=self._runtime.proxy_source, user="root" if root else None)
        return {f"{FOLDER}/nginx.conf": text.encode()}

    def balance(self, services: list[str], balance: Balance) -> None:
        """Set how these services' next server is chosen; when nginx refuses it, all stays as it was."""
        before = dict(self._balances)
        self._balances |= dict.fromkeys(services, balance)
        try:
            self.follow()
        except BaseException:
            self._balances = before
            self.follow()
            raise

    def follow(self) -> None:
        """Make a running nginx serve by the plan as it is now; afterwards no new connection follows the old one.

        Requests under way end as they began, and a client's idle connection carries one more by the old plan. A proxy
        that is down reads the plan when it starts.
        """
        if not self._addresses or self._runtime.status(self._id).condition != "running":
            return
        with self._reloading:
            self.stale = False
            before = self._count_lines()
            self._runtime.reload(self._id, self.files())
            # There is one worker, and it logs its shutdown once.
            wait_until(
                lambda: self._count_lines() != before, timeout=RELOAD_SECONDS, give_up=self._down
            )
            if self._count_lines()[SHUTDOWN_LINE] == before[SHUTDOWN_LINE]:
                last = self._runtime.logs(self._id, 5)
                raise LabError(f"nginx refused its new configuration. Its last lines:\n{last}")

    def log(self) -> AccessLog:
        """Return the access log as nginx wrote it, and the replica at each address that it ever had."""
        if not self._addresses:
            raise LabError(f"{self._plan.spec.phase} has no nginx, and so no access log.")
        text = self._runtime.read(self._id, f"{FOLDER}/access.log").decode(errors="replace")
        return {"lines": text, "replicas": self._replicas_at}

    def _count_lines(self) -> Counter[str]:
        """Count both lines in the log of all lives of nginx."""
        log = self._runtime.logs(self._id, _ALL_LINES)
        return Counter({line: log.count(line) for line in (SHUTDOWN_LINE, REFUSAL_LINE)})

    def _down(self) -> bool:
        return self._runtime.status(self._id).condition != "running"
