"""JupyterLab as `lab open` starts it: the right page, on our settings, and every link of a lab leads to a file."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import psutil
import pytest

from environment.compose import ROOT
from environment.waiting import wait_until
from labs.running.jupyter import Server, own_settings
from labs.running.notebooks import all_labs
from labs.running.outputs import read

HOSTILE = """
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.token = ""
c.ServerApp.password = ""
c.ServerApp.root_dir = "/"
c.IdentityProvider.token = ""
c.PasswordIdentityProvider.hashed_password = ""
"""

OTHER_KERNEL = {"argv": ["/nowhere/python"], "display_name": "Another", "language": "python"}


class Opened:
    """A JupyterLab that `lab open` runs: its process, and the address that it printed."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.address = process, urlsplit(url)
        self.token = parse_qs(self.address.query)["token"][0]

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        token = self.token if token is None else token
        headers = {"Authorization": f"token {token}"} if token else {}
        root = f"http://{self.address.netloc}"
        return httpx.get(urljoin(root, path), headers=headers, trust_env=False, timeout=30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """`lab open phase1` of a user whose Jupyter admits everybody and has another `python3`."""
    user = tmp_path_factory.mktemp("user")
    (user / "jupyter_server_config.py").write_text(HOSTILE)
    (user / "kernels" / "python3").mkdir(parents=True)
    (user / "kernels" / "python3" / "kernel.json").write_text(json.dumps(OTHER_KERNEL))
    folders = {name: str(user) for name in ("CONFIG_DIR", "CONFIG_PATH", "DATA_DIR", "PATH")}
    variables = {f"JUPYTER_{name}": folder for name, folder in folders.items()}
    temporary = tmp_path_factory.mktemp("temporary")
    with subprocess.Popen(
        [sys.executable, "-m", "labs.cli", "open", "phase1", "--no-browser"],
        env={**os.environ, **variables, "JUPYTER_TOKEN": "easy", "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        opened = Opened(process, process.stdout.readline().removeprefix("JupyterLab: ").strip())
        assert wait_until(
            lambda: answers(opened), timeout=60, give_up=lambda: process.poll() is not None
        )
        yield opened
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert list(temporary.iterdir()) == []


def answers(opened: Opened) -> bool:
    try:
        return opened.get("/api").status_code == 200
    except httpx.TransportError:
        return False


def links() -> list[tuple[str, str]]:
    """Each page that a student opens, by its path in the clone, with each link in its text that is no address."""
    texts = {"labs/README.md": (ROOT / "labs" / "README.md").read_text()}
    for each in all_labs().values():
        cells = [cell.source for cell in read(each.path).cells if cell.cell_type != "code"]
        texts[f"my-labs/{each.path.name}"] = "\n".join(cells)
    pairs = [
        (path, target)
        for path, text in texts.items()
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text)
        if "://" not in target
    ]
    return list(dict.fromkeys(pairs))


def test_the_readme_links_to_every_lab() -> None:
    targets = {target for path, target in links() if path == "labs/README.md"}
    assert targets >= {each.path.name for each in all_labs().values()}


def test_the_labs_link_to_each_other_and_to_the_handbook() -> None:
    targets = [target for path, target in links() if path != "labs/README.md"]
    assert len(targets) >= 12
    assert sum(target.startswith("../handbook/") for target in targets) >= 5


@pytest.mark.parametrize(("page", "target"), links())
def test_a_link_of_a_lab_leads_to_a_file(lab: Opened, page: str, target: str) -> None:
    """JupyterLab resolves a link against the notebook's path, and asks the server for the result."""
    path = os.path.normpath(f"{Path(page).parent}/{target}")
    found = lab.get(f"/api/contents/{path}?content=0")
    assert found.status_code == 200, f"{page} links to {target}"
    assert found.json()["path"] == path


def test_it_opens_the_lab_of_the_phase(lab: Opened) -> None:
    assert lab.address.path == "/lab/tree/my-labs/phase1_gateway.ipynb"
    page = lab.get(lab.address.path)
    assert page.status_code == 200
    assert "JupyterLab" in page.text
    assert Server.of(None).start == "/lab/tree/my-labs"


def test_it_listens_on_this_machine_only(lab: Opened) -> None:
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(lab.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize("token", ["", "easy", "guess"])
def test_only_its_own_token_opens_it(lab: Opened, token: str) -> None:
    assert lab.get("/api/contents/labs", token=token).status_code == 403


def test_every_start_has_another_token(lab: Opened) -> None:
    assert len({lab.token, Server.of("phase1").token, Server.of("phase1").token}) == 3


def test_its_kernel_is_this_python(lab: Opened) -> None:
    specs = lab.get("/api/kernelspecs").json()
    assert specs["default"] == "python3"
    assert specs["kernelspecs"]["python3"]["spec"]["display_name"] == "Python 3 (ipykernel)"


def test_no_variable_of_the_users_jupyter_reaches_a_kernel(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "JUPYTER_PATH": "/else", "JUPYTERLAB_DIR": "/else", "IPYTHONDIR": "/else"}  # fmt: skip
    variables = own_settings(tmp_path, inherited)
    assert variables["PATH"] == "/bin"
    assert "/else" not in variables.values()


def test_the_served_folder_is_the_clone(lab: Opened) -> None:
    names = {entry["name"] for entry in lab.get("/api/contents/").json()["content"]}
    assert {"labs", "handbook", "README.md"} <= names <= {path.name for path in ROOT.iterdir()}
