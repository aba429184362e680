"""Images are named by what goes into them, made without a network, and never left half-made."""

import gzip
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import ImageNotFound

from environment import images
from environment.compose import ROOT
from environment.errors import LabError
from environment.images import base, builder, bundles, libraries, recipe
from environment.images.base import debootstrap_base, pull_image, why_no_debootstrap
from environment.images.engine import architecture, connect
from environment.images.extras import EXTRAS
from environment.images.mirror import Mirror, debian_mirror
from environment.images.programs import run_program
from environment.images.workshop import cache_folder, sweep_scratch, workshop

TEST_TAG = "microservices-lab/services:test"


def quiet(line: str) -> None:
    """Takes progress and does not show it."""


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the services that no image was ever made of."""
    copy = tmp_path / "microservices"
    shutil.copytree(recipe.SERVICES_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "novelty.py").write_text(f"NUMBER = {random.getrandbits(64)}\n")
    for module in (recipe, builder):
        monkeypatch.setattr(module, "SERVICES_FOLDER", copy)
    return copy


def test_the_name_of_the_services_image_changes_with_every_ingredient(
    tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = [recipe.names("amd64")]

    def differs() -> None:
        now = recipe.names("amd64")
        assert now not in seen
        seen.append(now)

    (tree / "novelty.py").write_text("NUMBER = 0\n")
    differs()
    (tree / "novelty.py").rename(tree / "renamed.py")
    differs()
    assert len({one.kafka for names in seen for one in names}) == 2, "the services changed Kafka"
    stores = ("POSTGRES_DOCKERFILE", "POSTGRES_LOCK")
    for name in ("LOCK", "DOCKERFILE", "KAFKA_DOCKERFILE", "JARS_LOCK", "JAVA_LOCK", *stores):
        (tmp_path / name).write_bytes(getattr(recipe, name).read_bytes() + b"\n# changed\n")
        monkeypatch.setattr(recipe, name, tmp_path / name)
        differs()
    assert len({one.base for names in seen for one in names}) == 2, "the services changed the base"
    monkeypatch.setattr(recipe, "PACKAGES", ("python3", "sqlite3"))
    differs()
    assert set(recipe.names("arm64")).isdisjoint(recipe.names("amd64"))


def test_what_python_leaves_behind_does_not_change_the_name(tree: Path) -> None:
    before = recipe.names("amd64")
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "novelty.cpython-311.pyc").write_bytes(b"bytecode")
    (tree / ".novelty.py.swp").write_bytes(b"an editor's")
    os.utime(tree / "novelty.py", (0, 0))
    assert recipe.names("amd64") == before


def test_asking_for_the_names_takes_less_than_50_milliseconds() -> None:
    best = min(_seconds(lambda: recipe.names("amd64")) for _ in range(5))
    assert best < 0.05


def _seconds(deed: Callable[[], object]) -> float:
    began = time.perf_counter()
    deed()
    return time.perf_counter() - began


def test_the_lock_of_the_services_has_the_project_s_versions() -> None:
    locked, whole = _pins(recipe.LOCK), _pins(ROOT / "requirements.lock")
    # The whole project's lock may hold two versions of one library, for two versions of Python.
    assert all(pins <= whole.get(name, set()) for name, pins in locked.items()), (
        "services.lock is out of date; environment/images/libraries.py says how to make it"
    )
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in wanted["optional-dependencies"]["services"]:
        assert re.split(r"[\[<>=~! ]", name)[0].lower() in locked


def _pins(path: Path) -> dict[str, set[tuple[str, frozenset[str]]]]:
    """Name: each version with its hashes."""
    text = path.read_text().replace("\\\n", " ")
    pins: dict[str, set[tuple[str, frozenset[str]]]] = {}
    for match in re.finditer(r"^([\w.-]+)==(\S+)(.*)$", text, re.MULTILINE):
        pin = (match[2], frozenset(re.findall(r"sha256:\w+", match[3])))
        pins.setdefault(match[1], set()).add(pin)
    return pins


def test_no_file_names_a_registry_or_a_mirror() -> None:
    for path in (*recipe.FOLDER.iterdir(), *recipe.KAFKA_FOLDER.iterdir()):
        if path.is_file():
            assert not re.findall(r"\w+://\w+\.\w+", path.read_text()), path


# -- the mirror ----------------------------------------------------------------------------------------------------

DEBIAN = 'ID=debian\nVERSION_CODENAME=trixie\nNAME="Debian"\n'


def mirror_of(tmp_path: Path, sources: dict[str, str], release: str = DEBIAN) -> Mirror | None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "os-release").write_text(release)
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    return debian_mirror(apt=tmp_path, os_release=tmp_path / "os-release")


DEB822 = """
Types: deb
URIs: http://other.example/debian-security/
Suites: trixie-security
Components: main

Types: deb deb-src
# a remark
URIs: http://near.example/debian/
Suites: trixie
  trixie-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

THIRD = """Types: deb
URIs: https://packages.example/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/vendor.gpg
"""


def test_the_mirror_is_read_from_the_deb822_format(tmp_path: Path) -> None:
    sources = {"sources.list.d/debian.sources": DEB822, "sources.list.d/a.sources": THIRD}
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert mirror_of(tmp_path, sources) == Mirror("http://near.example/debian", keyring)


def test_the_mirror_is_read_from_the_old_format(tmp_path: Path) -> None:
    lines = (
        "# deb http://old.example/debian trixie main\n"
        "deb cdrom:[Debian]/ trixie main\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] http://vendor.example trixie main\n"
        "deb [arch=amd64] http://near.example/debian trixie main contrib\n"
    )
    assert mirror_of(tmp_path, {"sources.list": lines}) == Mirror("http://near.example/debian")


@pytest.mark.parametrize(
    ("sources", "release"),
    [
        ({}, DEBIAN),
        ({"sources.list.d/a.sources": THIRD}, DEBIAN),
        ({"sources.list.d/debian.sources": DEB822 + "Enabled: no\n"}, DEBIAN),
        ({"sources.list.d/debian.sources": DEB822}, "ID=ubuntu\nVERSION_CODENAME=trixie\n"),
    ],
    ids=["none", "only a third party's", "switched off", "not Debian"],
)
def test_where_there_is_no_mirror_none_is_made_up(
    tmp_path: Path, sources: dict[str, str], release: str
) -> None:
    assert mirror_of(tmp_path, sources, release) is None


def test_a_mirror_that_does_not_answer_is_explained_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "debian_mirror", lambda: Mirror("http://127.0.0.1:9/debian"))
    monkeypatch.setattr(base, "why_no_debootstrap", lambda: None)
    with pytest.raises(LabError, match=r"127.0.0.1:9.*apt-get update.*lab images load"):
        debootstrap_base(DockerClient(base_url="unix:///nowhere", version="1.41"), tmp_path, quiet)


# -- steps ---------------------------------------------------------------------------------------------------------


def test_a_step_that_fails_shows_its_last_lines() -> None:
    with pytest.raises(
        LabError, match=r"Counting failed \(exit code 3\). Look up.*\n9\n(1\d\n){10}20$"
    ):
        run_program(
            ["sh", "-c", "seq 20; exit 3"], action="Counting", next_step="Look up.", each=quiet
        )


def test_a_step_that_is_interrupted_ends_with_its_children(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    script = f"sleep 60 & echo $! > {tmp_path}/child; echo begun; wait"
    with pytest.raises(KeyboardInterrupt):
        run_program(["sh", "-c", script], action="", next_step="", each=interrupt)
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"


def test_only_scratch_folders_of_killed_builds_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left = cache_folder() / "scratch-of-the-dead"
    left.mkdir()
    with workshop(quiet) as scratch:
        assert not left.exists(), "the next build did not sweep"
        sweep_scratch()
        assert scratch.is_dir()
    assert not scratch.exists()
    left.mkdir()
    sweep_scratch()
    assert not left.exists()


def test_a_second_build_waits_and_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    order: list[str] = []

    def second() -> None:
        with workshop(said.append):
            order.append("second")

    with workshop(quiet):
        (thread := threading.Thread(target=second)).start()
        while not said:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert f"process {os.getpid()}" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_libraries_are_resolved_for_the_platform_of_the_image(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = libraries.libraries(architecture, tmp_path, quiet)
    machine = {"amd64": b"\x3e", "arm64": b"\xb7"}[architecture]  # in the header of an ELF file
    extensions = list(folder.rglob("*.so"))
    assert len(extensions) > 5
    assert {path.read_bytes()[18:19] for path in extensions} == {machine}
    assert not list(folder.rglob("*.pyc"))
    assert libraries.libraries(architecture, tmp_path, pytest.fail) == folder, "not cached"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_uv_resolves_where_there_is_no_pip(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    monkeypatch.setattr(libraries.sys, "executable", "/nowhere/python")
    monkeypatch.setattr(libraries.shutil, "which", lambda name: "/somewhere/uv")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    command = libraries._installer(architecture)
    assert command[:3] == ["/somewhere/uv", "pip", "install"]
    assert command[command.index("--python-platform") + 1].startswith(f"{machine}-manylinux_2_")
    monkeypatch.setattr(libraries.shutil, "which", lambda name: None)
    with pytest.raises(LabError, match="-m ensurepip"):
        libraries._installer(architecture)


def test_an_architecture_without_libraries_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(LabError, match=r"riscv64.*amd64, arm64.*`process`"):
        libraries.libraries("riscv64", tmp_path, quiet)


# -- builds --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerClient]:
    client = connect(patience=60)
    yield client
    client.close()


@pytest.fixture(scope="module")
def made(engine: DockerClient) -> str:
    """The real image, made when it is not there."""
    return images.build(quiet)


@pytest.fixture
def bench(
    engine: DockerClient, made: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerClient]:
    """An engine, and services that it has no image of; afterwards it has no more and no less than before."""
    real_cache = cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for kept in real_cache.glob("libraries-*"):
        (cache_folder() / kept.name).symlink_to(kept)
    for module in (recipe, builder, bundles, images):
        if hasattr(module, "LOCAL"):
            monkeypatch.setattr(module, "LOCAL", TEST_TAG)
    before = _half_made(engine)
    yield engine
    for image in {TEST_TAG, *(one.services for one in recipe.names(architecture(engine)))}:
        _remove(engine, image)
    assert _half_made(engine) - before == set()
    assert [path.name for path in cache_folder().glob("scratch-*")] == []


def _remove(client: DockerClient, image: str) -> None:
    with suppress(ImageNotFound):
        client.api.remove_image(image)


def _half_made(client: DockerClient) -> set[str]:
    """Images without a name that nothing stands on, and containers of builds."""
    nameless = client.api.images(filters={"dangling": True, "label": recipe.LABEL})
    containers = client.api.containers(all=True, filters={"label": f"{recipe.LABEL}=services"})
    builders = [one for one in containers if "lab.session" not in one["Labels"]]
    return {one["Id"] for one in (*nameless, *builders)}


def _inside(client: DockerClient, image: str, script: str) -> str:
    """What a script in the image writes, under the confinement of docker-compose.yml."""
    said: Any = client.containers.run(
        image,
        ["python", "-c", script],
        remove=True,
        read_only=True,
        network_mode="none",
        tmpfs={"/tmp": ""},
    )
    return str(said.decode())


@pytest.mark.docker
def test_the_image_holds_services_that_start_without_compiling(
    engine: DockerClient, made: str
) -> None:
    script = (
        "import json, os, sys, pathlib, microservices, fastapi, uvicorn, sqlalchemy, uvloop, httptools\n"
        "sources = [p for p in pathlib.Path('/app').rglob('*.py')]\n"
        "print(json.dumps({'uid': os.getuid(), 'owner': os.stat('/data').st_uid,\n"
        "  'version': sys.version_info[:2], 'where': microservices.__file__,\n"
        "  'bare': [str(p) for p in sources if not list((p.parent / '__pycache__').glob(p.stem + '.*.pyc'))]}))"
    )
    assert json.loads(_inside(engine, made, script)) == {
        "uid": 10001,
        "owner": 10001,
        "version": [3, 11],
        "where": "/app/microservices/__init__.py",
        "bare": [],
    }


@pytest.mark.docker
def test_the_image_is_small(engine: DockerClient, made: str) -> None:
    assert engine.images.get(made).attrs["Size"] < 300e6


@pytest.mark.docker
def test_a_built_image_is_found_quickly_and_named_for_compose(
    engine: DockerClient, made: str
) -> None:
    assert images.present()
    assert min(_seconds(images.present) for _ in range(5)) < 0.1
    assert engine.images.get(recipe.LOCAL).id == engine.images.get(made).id
    assert min(_seconds(lambda: images.build(quiet)) for _ in range(3)) < 0.5
    assert images.buildable()[0]


@pytest.mark.docker
def test_a_changed_service_is_another_image_built_quickly(bench: DockerClient, made: str) -> None:
    assert not images.present()
    with pytest.raises(LabError, match=r"no image of these services.*lab images build"):
        images.bundle(Path("/nowhere"), quiet)
    seconds = _seconds(lambda: images.build(quiet))
    assert images.present()
    image = builder.at_hand(bench)
    assert image is not None
    assert image.services != made
    assert "NUMBER" not in _inside(bench, image.services, "import microservices.novelty")
    assert bench.images.get(TEST_TAG).id == bench.images.get(image.services).id
    assert seconds < 20, "the layer of the libraries was made again"


@pytest.mark.docker
def test_a_build_that_is_interrupted_leaves_nothing(bench: DockerClient) -> None:
    def interrupt(line: str) -> None:
        if "RUN python -m compileall -q microservices" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.build(interrupt)
    assert not images.present()
    _settles(bench)
    images.build(quiet)
    assert images.present()


def _settles(client: DockerClient) -> None:
    """The engine itself clears a build away a moment after it was broken off."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        builders = client.api.containers(all=True, filters={"label": f"{recipe.LABEL}=services"})
        if all("lab.session" in one["Labels"] for one in builders):
            return
        time.sleep(0.1)


@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_whose_process_ends_leaves_nothing_after_the_next(
    bench: DockerClient, tree: Path, number: signal.Signals
) -> None:
    script = (
        "import pathlib, sys\n"
        "from environment import images\n"
        "from environment.images import builder, recipe\n"
        f"recipe.SERVICES_FOLDER = builder.SERVICES_FOLDER = pathlib.Path({str(tree)!r})\n"
        f"builder.LOCAL = {TEST_TAG!r}\n"
        "images.build(lambda line: print(line, flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as building:
        assert building.stdout is not None
        assert any("COPY microservices" in line for line in building.stdout)
        building.send_signal(number)
    assert building.returncode
    assert not images.present()
    _settles(bench)
    images.build(quiet)
    assert images.present()


@pytest.mark.docker
def test_a_build_that_fails_names_its_step_and_leaves_nothing(
    bench: DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "Dockerfile"
    text = recipe.DOCKERFILE.read_text()
    broken.write_text(text.replace("USER lab", "RUN ls /no/such/folder"))
    for module in (recipe, builder):
        monkeypatch.setattr(module, "DOCKERFILE", broken)
    with pytest.raises(LabError, match=r"ls /no/such/folder.*environment/images/Dockerfile"):
        images.build(quiet)
    assert not images.present()


@pytest.mark.docker
def test_an_image_of_files_that_changed_meanwhile_gets_no_name(
    bench: DockerClient, tree: Path
) -> None:
    def edit(line: str) -> None:
        if "Step " in line:
            (tree / "novelty.py").write_text("NUMBER = 'edited while building'\n")

    with pytest.raises(LabError, match="changed while"):
        images.build(edit)
    assert not images.present()


@pytest.mark.docker
def test_two_builds_at_the_same_time_make_one_image(bench: DockerClient) -> None:
    said: list[str] = []
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(images.build(said.append))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert len(set(made)) == 1
    assert sum("waiting for another build" in line for line in said) == 1
    assert sum("building the image" in line for line in said) == 1


# -- bundles and registries ------------------------------------------------------------------------------------------


@pytest.mark.docker
def test_a_bundle_carries_the_images_to_an_empty_engine(
    bench: DockerClient, tmp_path: Path
) -> None:
    image = images.build(quiet)
    images.bundle(tmp_path / "lab.tar.gz", quiet)
    assert [path.name for path in tmp_path.glob("lab*")] == ["lab.tar.gz"]
    for name in (image, TEST_TAG):
        bench.api.remove_image(name)
    assert not images.present()
    images.load(tmp_path / "lab.tar.gz", quiet)
    assert images.present()
    with tarfile.open(tmp_path / "lab.tar.gz") as tar:
        manifest: Any = tar.extractfile("manifest.json")
        carried = {name for one in json.load(manifest) for name in one["RepoTags"]}
    assert {image, *(extra.at_hand(bench) for extra in EXTRAS)} - {None} <= carried
    assert bench.images.get(TEST_TAG).id == bench.images.get(image).id


@pytest.mark.docker
def test_a_bundle_of_other_services_is_explained(
    bench: DockerClient, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "EXTRAS", ())  # a smaller bundle will do
    other = images.build(quiet)
    images.bundle(tmp_path / "lab.tar.gz", quiet)
    try:
        (tree / "novelty.py").write_text("NUMBER = 'another commit'\n")
        with pytest.raises(LabError, match=f"{other}.*from the same commit.*lab images build"):
            images.load(tmp_path / "lab.tar.gz", quiet)
    finally:
        _remove(bench, other)


@pytest.mark.docker
def test_what_is_no_bundle_is_explained(bench: DockerClient, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"not an image" * 1000)
    (tmp_path / "short.gz").write_bytes(gzip.compress(os.urandom(100_000))[:50_000])
    for name in ("garbage", "short.gz", "nothing-there"):
        with pytest.raises(LabError, match=name):
            images.load(tmp_path / name, quiet)
    assert not images.present()


@pytest.mark.docker
def test_a_bundle_that_cannot_be_written_is_explained(made: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"cannot be written.*Choose another place"):
        images.bundle(tmp_path / "no-folder" / "lab.tar.gz", quiet)


@pytest.mark.docker
def test_a_registry_that_is_not_there_is_explained_at_once(engine: DockerClient) -> None:
    with pytest.raises(
        LabError, match=r"No registry gave us 127.0.0.1:9/python:3.11.*lab images build"
    ):
        pull_image(engine, "127.0.0.1:9/python:3.11", quiet)


@pytest.mark.docker
def test_a_silent_registry_is_given_up_in_ten_seconds(engine: DockerClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"127.0.0.1:{listener.getsockname()[1]}/python:3.11"
        began = time.monotonic()
        with pytest.raises(LabError, match=r"no answer in 6 s.*lab images load"):
            pull_image(engine, name, quiet)
        assert time.monotonic() - began < 10


# -- debootstrap -----------------------------------------------------------------------------------------------------

needs_debootstrap = pytest.mark.skipif(
    why_no_debootstrap() is not None, reason=str(why_no_debootstrap())
)


@pytest.mark.docker
@pytest.mark.slow
@needs_debootstrap
def test_a_base_made_here_is_small_and_runs_python(engine: DockerClient, tmp_path: Path) -> None:
    _, made = recipe.names(architecture(engine))
    here = builder.has(
        engine, made.base
    )  # the one that these tests run on, unless a registry gave that
    image = made.base if here else debootstrap_base(engine, tmp_path, quiet)
    try:
        said = _inside(engine, image, "import sys, sqlite3, ssl; print(sys.version_info[:2])")
        assert said.strip() == "(3, 11)"
        assert engine.images.get(image).attrs["Size"] < 150e6
    finally:
        if not here:
            engine.api.remove_image(image)


@pytest.mark.docker
@needs_debootstrap
def test_an_interrupted_base_leaves_no_process_and_no_mount(
    engine: DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(line: str) -> None:
        if "extracting" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        debootstrap_base(engine, tmp_path, interrupt)
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(tmp_path) not in commands
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    shutil.rmtree(tmp_path / "root")
