import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.microservices.running import clean_environment, free_port


def run(package: str, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"microservices.{package}", *arguments],
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_an_unknown_version_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    ended = run("user_service", "9", DATA_DIR=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "user-service: no version '9'; versions are: 1, 2\n"


def test_a_bad_setting_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    ended = run("payment_service", DATA_DIR=tmp_path, PAYMENT_SECONDS="soon")
    assert ended.returncode == 2
    assert ended.stderr.startswith("payment-service: PAYMENT_SECONDS is 'soon': ")
    assert len(ended.stderr.splitlines()) == 1


def test_an_impossible_data_folder_is_a_bad_setting() -> None:
    ended = run("user_service", DATA_DIR="/dev/null/users")
    assert ended.returncode == 2
    assert "DATA_DIR is '/dev/null/users'" in ended.stderr


def test_a_busy_port_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        ended = run("order_service", DATA_DIR=tmp_path, PORT=port)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"order-service: cannot listen on 127.0.0.1:{port}")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "package", ["user_service", "order_service", "payment_service", "api_gateway"]
)
def test_a_service_imports_neither_the_labs_nor_the_environment(package: str) -> None:
    code = (
        f"import sys, microservices.{package}.v1, microservices.kit.main;"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'labs', 'environment'}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


@pytest.mark.parametrize(
    ("package", "spared"),
    [("api_gateway", {"sqlalchemy", "httpx"}), ("user_service", {"httpx", "valkey"})],
)
def test_a_service_imports_only_what_it_uses(package: str, spared: set[str]) -> None:
    code = f"import sys, microservices.{package}.v1; print(sorted(set(sys.modules) & {spared}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
