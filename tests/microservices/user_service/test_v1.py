from tests.microservices.conftest import Start
from tests.microservices.running import Running


def test_a_first_look_shows_somebody(start: Start) -> None:
    assert start("user-service").http.get("/users").json() == [
        {"id": "user-1", "name": "Ada Lovelace"},
        {"id": "user-2", "name": "Grace Hopper"},
        {"id": "user-3", "name": "Alan Turing"},
    ]


def test_a_created_user_is_listed_last(user: Running) -> None:
    answer = user.http.post("/users", json={"name": "Barbara Liskov"})
    assert answer.status_code == 201
    assert user.http.get("/users").json()[-1] == answer.json()
    assert answer.json()["name"] == "Barbara Liskov"


def test_users_survive_kill_9(start: Start) -> None:
    first = start("user-service")
    created = first.http.post("/users", json={"name": "Barbara Liskov"}).json()
    first.kill()
    assert created in start("user-service").http.get("/users").json()


def test_version_1_knows_no_email(user: Running) -> None:
    answer = user.http.post("/users", json={"name": "Ada", "email": "ada@example.com"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/email"


def test_a_new_user_takes_seconds_and_a_list_none(start: Start) -> None:
    user = start("user-service", USER_SECONDS=0.4)
    assert user.http.post("/users", json={"name": "Ada"}).elapsed.total_seconds() >= 0.4
    assert min(user.http.get("/users").elapsed.total_seconds() for _ in range(5)) < 0.4
