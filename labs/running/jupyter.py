"""Jupyter on the course's own settings: `lab open`, and the kernels of `lab run`.

The configuration of a user or a machine, such as a server that listens on every address or a `python3` kernel of
another environment, belongs to other work. Here Jupyter looks for all its files in a folder of one run, and so do
IPython and matplotlib.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ipykernel.kernelspec import get_kernel_dict, make_ipkernel_cmd
from jupyter_core import paths

from environment.outside import inside, outside
from labs.machine import ROOT
from labs.running.copies import MY_LABS, make_copies
from labs.running.notebooks import choose

_REPLACED = ("JUPYTER", "JPY_", "IPYTHON", "MPLBACKEND", "MATPLOTLIBRC", "PYTHONSTARTUP")
"""How the names of the variables begin that configure Jupyter, IPython, and what draws in a kernel."""

QUIET = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    }
}
"""JupyterLab's own defaults, changed: no question about news on top of a lab."""


def own_settings(folder: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a process whose Jupyter takes no configuration, kernel or extension of the user.

    Args:
        folder: Where Jupyter, IPython and matplotlib find their files instead; of this run alone. It gets a kernel
            `python3` of this very Python.
        inherited: The variables to start from.
    """
    others = {
        name: value for name, value in inside(inherited).items() if not name.startswith(_REPLACED)
    }
    kernel = folder / "data" / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    command = make_ipkernel_cmd("labs.running.kernel", python_arguments=["-P"])
    (kernel / "kernel.json").write_text(json.dumps(get_kernel_dict() | {"argv": command}))
    (folder / "matplotlibrc").touch()  # without a line: the defaults
    return others | {
        "JUPYTER_CONFIG_DIR": str(folder),
        "JUPYTER_CONFIG_PATH": str(folder),  # read before the machine's own in /etc
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_PATH": str(folder / "data"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the extensions of this Python before others
        "IPYTHONDIR": str(folder / "ipython"),
        "MATPLOTLIBRC": str(folder / "matplotlibrc"),
    }


def forget_the_machine() -> None:
    """Let Jupyter in this process read no configuration, kernel or extension that is installed for all users."""
    paths.SYSTEM_CONFIG_PATH.clear()
    paths.SYSTEM_JUPYTER_PATH.clear()


@dataclass(frozen=True)
class Server:
    """A JupyterLab server, not yet started: on this machine only, with a new token, for the whole clone.

    The clone is served, and not only `labs/`, because the labs link to the handbook, and the handbook to code.
    """

    start: str
    """The path it opens, such as `/lab/tree/my-labs`."""
    port: int
    token: str

    @classmethod
    def of(cls, phase: str | None) -> Self:
        """Return a server that opens the student's copy of a phase's lab, or the folder of the copies.

        Raises:
            UnknownName: The phase has no lab; the message names those that have one.
        """
        path = MY_LABS / choose([phase])[0].path.name if phase else MY_LABS
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return cls(f"/lab/tree/{path.relative_to(ROOT).as_posix()}", port, secrets.token_hex(24))

    @property
    def url(self) -> str:
        """The address to open in a browser; its token is the only way in."""
        return f"http://127.0.0.1:{self.port}{self.start}?token={self.token}"

    def configure(self, folder: Path, *, browser: bool) -> None:
        """Write the server's configuration into a folder that only this user can read.

        The token is in a file and not on the command line, which every user of the machine can read.
        """
        (folder / "jupyter_server_config.json").write_text(
            json.dumps(self._settings(folder, browser=browser))
        )
        (folder / "overrides.json").write_text(json.dumps(QUIET))

    def _settings(self, folder: Path, *, browser: bool) -> dict[str, Any]:
        return {
            "Application": {"log_level": "WARN"},
            "ServerApp": {
                "ip": "127.0.0.1",
                "port": self.port,
                "port_retries": 0,
                "root_dir": str(ROOT),
                "default_url": self.start,
                "open_browser": browser,
                "allow_root": os.geteuid() == 0,
            },
            "LabApp": {
                "default_url": self.start,
                "app_settings_dir": str(folder),
                "news_url": None,  # nothing leaves the machine
                "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            },
            "IdentityProvider": {"token": self.token},
            "PasswordIdentityProvider": {"hashed_password": ""},
            "MultiKernelManager": {"default_kernel_name": "python3"},
        }


class _OutsideBrowser(webbrowser.GenericBrowser):
    """The user's browser, with the user's own proxies: it may be started here and used for other pages."""

    def __init__(self, browser: webbrowser.BaseBrowser) -> None:
        super().__init__(browser.name)
        self._browser = browser

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        """Open a page."""
        with outside():
            return self._browser.open(url, new, autoraise)


def open_lab(phase: str | None, *, browser: bool = True) -> int:
    """Run JupyterLab in this process until it is interrupted, and return the exit code.

    It opens the student's own copy of the phase's lab, or the folder of all copies (`labs/running/copies.py`). The
    user's theme and shortcuts stay.

    Raises:
        UnknownName: The phase has no lab; the message names those that have one.
        LabError: A copy cannot be read.
    """
    server, merged = Server.of(phase), make_copies()
    appearance = Path(paths.jupyter_config_dir(), "lab", "user-settings")
    with tempfile.TemporaryDirectory(prefix="lab-jupyter-") as name:
        folder = Path(name)
        server.configure(folder, browser=browser)
        variables = own_settings(folder, os.environ)
        os.environ.clear()
        os.environ.update(variables, JUPYTERLAB_SETTINGS_DIR=str(appearance))
        forget_the_machine()
        with suppress(webbrowser.Error):  # without a browser, Jupyter reports it
            webbrowser.register("outside", None, _OutsideBrowser(webbrowser.get()), preferred=True)
        # Not earlier: it looks for its folders when it is imported.
        from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

        print(
            f"JupyterLab: {server.url}\nPress Ctrl-C twice to end it and its kernels.", flush=True
        )
        for sentence in merged:
            print(sentence, flush=True)
        LabApp.launch_instance(argv=[])
    return 0
