import pytest

from microservices.kit.settings import BadSetting, Settings, read_settings


def read() -> Settings:
    return read_settings(Settings, port=3001, instance="users-1")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_without_variables_a_service_is_on_loopback_and_healthy() -> None:
    found = read()
    assert (found.host, found.port, found.faults) == ("127.0.0.1", 3001, "off")


def test_a_variable_wins_over_the_default_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4001")
    monkeypatch.setenv("INSTANCE", "users-2")
    assert (read().port, read().instance) == (4001, "users-2")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    assert read().port == 3001


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "0"), ("PORT", "70000"), ("SEED", "x"), ("FAULTS", "yes")]
)
def test_a_bad_value_names_the_variable_and_what_was_found(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=f"^{name} is '{value}': .*should"):
        read()


def test_faults_without_a_token_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTS", "on")
    with pytest.raises(BadSetting, match="CONTROL_TOKEN"):
        read()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:hunter2@host/db",
        "postgresql://ada:hunter2@host:hunter2/db",
        "postgresql://ada:hunter2@host:70000/db",
        "postgresql://ada:hunter2@/db",
        "postgresql://ada:hunter2@[host/db",
    ],
)
def test_a_password_in_a_bad_database_url_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(
        BadSetting, match=r"DATABASE_URL is \(hidden\): should be postgresql"
    ) as caught:
        read()
    assert "hunter2" not in str(caught.value)
