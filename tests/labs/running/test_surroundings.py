"""What a user or a machine has configured for Jupyter, IPython, matplotlib and the network stays out of a lab."""

import json
import os
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from environment.compose import ROOT
from environment.outside import SET_ASIDE, is_outside
from labs.records import load_record
from labs.running import jupyter
from tests.environment.test_outside import HOSTILE
from tests.labs.toys import write_lab

STARTUP = "intruder = 1"
IPYTHON = (
    "c.InteractiveShellApp.exec_lines = ['intruder = 2']\nc.InlineBackend.rc = {'figure.dpi': 7}"
)
MATPLOTLIB = "figure.facecolor: black\ntext.usetex: True\nbackend: TkAgg\n"
JUPYTER = (
    "c.KernelManager.shutdown_wait_time = 1\nc.NotebookClient.timeout = 1\nraise SystemExit(9)"
)
OTHER_KERNEL = {"argv": ["/nowhere/python"], "display_name": "Another", "language": "python"}

CELL = """
import os, sys, httpx, matplotlib
from labs.load.open_loop import Load, Stream

assert "intruder" not in globals()
assert sys.executable == {python!r}
assert matplotlib.rcParams["figure.facecolor"] == "white", matplotlib.matplotlib_fname()
assert "inline" in matplotlib.get_backend()
assert httpx.get({url!r}).status_code == 200
with Load(Stream("ask", {url!r}, rate=20), seconds=0.5) as load:
    pass
assert load.samples["ok"].all()
open(os.environ["LAB_RUNS"] + "/arrived", "w").close()
"""


class Always200(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Always200) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A home folder with a configuration of every tool that a lab uses."""
    files = {
        ".jupyter/jupyter_config.py": JUPYTER,
        ".jupyter/jupyter_notebook_config.py": JUPYTER,
        ".ipython/profile_default/startup/00-intruder.py": STARTUP,
        ".ipython/profile_default/ipython_config.py": IPYTHON,
        ".ipython/profile_default/ipython_kernel_config.py": IPYTHON,
        ".local/share/jupyter/kernels/python3/kernel.json": json.dumps(OTHER_KERNEL),
        ".config/matplotlib/matplotlibrc": MATPLOTLIB,
        "matplotlibrc": MATPLOTLIB,
        "startup.py": STARTUP,
    }
    for name, content in files.items():
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "home"


def hostile(user: Path) -> dict[str, str]:
    """The variables of a user who has set everything that a tool reads."""
    return {name: value for name, value in os.environ.items() if not is_outside(name)} | {
        **HOSTILE,
        "HOME": str(user),
        "IPYTHONDIR": str(user / ".ipython"),
        "JUPYTER_CONFIG_DIR": str(user / ".jupyter"),
        "JUPYTER_CONFIG_PATH": str(user / ".jupyter"),
        "JUPYTER_DATA_DIR": str(user / ".local/share/jupyter"),
        "JUPYTER_PATH": str(user / ".local/share/jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "MATPLOTLIBRC": str(user / "matplotlibrc"),
        "MPLBACKEND": "TkAgg",
        "PYTHONSTARTUP": str(user / "startup.py"),
    }


def test_a_lab_runs_on_our_settings(tmp_path: Path, user: Path, url: str) -> None:
    write_lab(tmp_path / "labs", CELL.format(python=sys.executable, url=url))
    run = (
        "import sys; from pathlib import Path; from labs.running.headless import run_labs; "
        "run_labs([], folder=Path(sys.argv[1], 'labs'), out=Path(sys.argv[1]))"
    )
    variables = hostile(user)
    variables.pop("LAB_OUTSIDE", None)
    subprocess.run([sys.executable, "-c", run, str(tmp_path)], env=variables, cwd=ROOT)
    assert (tmp_path / "arrived").exists(), load_record(tmp_path / "latest").facts["failure"]


def test_the_kernel_reads_no_configuration_of_the_machine(tmp_path: Path, user: Path) -> None:
    """As if /etc/ipython were the folder of that user."""
    pretend = (
        "import runpy, sys; from IPython.core import application; "
        f"application.SYSTEM_CONFIG_DIRS[:] = [{str(user / '.ipython/profile_default')!r}]; "
        "runpy.run_module('labs.running.kernel', run_name='__main__', alter_sys=True)"
    )
    manager = KernelManager()
    spec = manager.kernel_spec
    assert spec
    spec.argv = [sys.executable, "-P", "-c", pretend, "-f", "{connection_file}"]
    manager.start_kernel(env=os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        asked = {"there": "'intruder' in globals()"}
        reply = client.execute_interactive("pass", user_expressions=asked, timeout=30)
        found = reply["content"]["user_expressions"]["there"]["data"]["text/plain"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert found == "False"


def test_jupyter_reads_nothing_that_is_installed_for_all_users(tmp_path: Path) -> None:
    ask = (
        "import json, os, pathlib, sys; from jupyter_core import paths; "
        "from labs.running import jupyter; "
        "os.environ.update(jupyter.own_settings(pathlib.Path(sys.argv[1]), os.environ)); "
        "jupyter.forget_the_machine(); "
        "print(json.dumps([*paths.jupyter_config_path(), *paths.jupyter_path()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    folders = json.loads(done.stdout)
    assert folders
    for folder in folders:
        assert folder.startswith((str(tmp_path), sys.prefix)), folder


def test_the_browser_keeps_the_proxies_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Browser(webbrowser.BaseBrowser):
        def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
            seen.append((url, os.environ.get("HTTPS_PROXY")))
            return True

    monkeypatch.setenv(SET_ASIDE, json.dumps({"HTTPS_PROXY": "http://proxy.invalid:1"}))
    assert jupyter._OutsideBrowser(Browser("one")).open("http://127.0.0.1:1/")
    assert seen == [("http://127.0.0.1:1/", "http://proxy.invalid:1")]
