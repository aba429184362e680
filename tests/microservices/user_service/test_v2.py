from collections.abc import Iterator

import pytest

from tests.microservices.conftest import Start
from tests.microservices.running import Running

ADA = {"id": "user-1", "name": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running("user-service", data=tmp_path_factory.mktemp("users"), version="2")
    try:
        yield running.wait_ready()
    finally:
        running.close()


def test_an_email_is_kept_and_shown(users: Running) -> None:
    new = {"name": "Barbara Liskov", "email": "barbara@example.com"}
    created = users.http.post("/users", json=new).json()
    assert users.http.get(f"/users/{created['id']}").json() == created
    assert created == new | {"id": created["id"]}


def test_one_user_is_shown_or_a_404(users: Running) -> None:
    assert users.http.get("/users/user-1").json() == ADA
    assert users.http.get("/users/nobody").status_code == 404


def test_versions_1_and_2_share_a_database(start: Start) -> None:
    one = start("user-service", version="1")
    old = one.http.post("/users", json={"name": "Barbara Liskov"}).json()
    two = start("user-service", version="2")
    assert two.http.get(f"/users/{old['id']}").json() == old | {"email": None}

    by_two = two.http.post("/users", json={"name": "Edsger", "email": "e@example.com"}).json()
    by_one = one.http.post("/users", json={"name": "Tony Hoare"}).json()
    names = ["Barbara Liskov", "Edsger", "Tony Hoare"]
    assert [user["name"] for user in one.http.get("/users").json()[3:]] == names
    assert two.http.get("/users").json()[3:] == [
        old | {"email": None},
        by_two,
        by_one | {"email": None},
    ]


def test_version_1_starts_on_a_database_of_2(start: Start) -> None:
    start("user-service", version="2").kill()
    one = start("user-service", version="1")
    assert one.http.get("/users").json()[0] == {"id": "user-1", "name": "Ada Lovelace"}
    assert one.http.post("/users", json={"name": "Tony Hoare"}).status_code == 201


@pytest.mark.parametrize(
    "email", ["", "ada", "@", "a@b@c", "a b@c", "a\x00@c", 7, "a@" + "b" * 300]
)
def test_what_is_no_email_is_refused(shared: dict[str, Running], email: object) -> None:
    answer = shared["user2"].http.post("/users", json={"name": "Ada", "email": email})
    assert answer.status_code == 422
