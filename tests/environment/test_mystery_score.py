"""A mystery judges guesses, hides its answer, and always heals; no system runs here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from environment import Environment, LabError
from environment.errors import UnknownName
from environment.mystery import KINDS, Kind, Mystery, chosen, kinds, mystery
from environment.mystery.healthy import HEALTHY, PAYMENTS
from environment.replacing.checks import checked

RIGHT = ("slow replica", "user-service-2")


class System:
    """A system of which only the fault is there."""

    def __init__(self) -> None:
        self.broken = self.away = False

    @contextmanager
    def begin(self, *_: object) -> Iterator[None]:
        self.broken = True
        try:
            yield
        finally:
            self.broken = False

    def symptom(self, *_: object) -> bool:
        if self.away:
            raise LabError("An order is not completed.")
        return self.broken


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    kind = Kind(RIGHT[0], "", KINDS[0].places, system.begin, system.symptom)
    monkeypatch.setattr(mystery, "prepare", lambda env: None)
    monkeypatch.setattr(mystery, "KINDS", (kind, *KINDS[1:]))
    monkeypatch.setattr(mystery, "chosen", lambda seed: (kind, RIGHT[1]))
    return system


def begin() -> Mystery:
    return Mystery(cast(Environment, None), 3)


def score(hidden: Mystery) -> dict[str, Any]:
    return cast(dict[str, Any], hidden.score.iloc[0].to_dict())


def test_seeds_choose_among_all_kinds_and_places() -> None:
    assert len({kind.name for kind in KINDS}) == 10
    faults = {(kind.name, place) for kind, place in map(chosen, range(2000))}
    assert faults == {(kind.name, place) for kind in KINDS for place in kind.places}
    assert chosen(7) == chosen(7)


def test_the_answer_is_shown_only_once_it_is_named(system: System) -> None:
    hidden = begin()
    for shown in (repr(hidden), hidden._repr_html_()):
        assert not any(answer in shown for answer in RIGHT)
    hidden.name(*RIGHT)
    assert (score(hidden)["kind"], score(hidden)["place"]) == RIGHT


@pytest.mark.parametrize(
    ("kind", "place", "feedback"),
    [
        ("slow replica", "user-service-1", "The kind is right"),
        ("failing replica", "user-service-2", "The place is right"),
        ("missing inbox", "payment-service", "Neither is right."),
    ],
)
def test_a_wrong_guess_is_counted_and_gives_nothing_away(
    system: System, kind: str, place: str, feedback: str
) -> None:
    hidden = begin()
    text = hidden.name(kind, place)
    assert text.startswith(feedback)
    assert not any(answer in text for answer in RIGHT)
    assert score(hidden)["wrong guesses"] == 1
    assert score(hidden)["located"] is None


@pytest.mark.parametrize(
    ("kind", "place", "reason"),
    [
        ("slow replika", "user-service-2", "Did you mean 'slow replica'"),
        ("slow replica", "user-service", "Choose one of api-gateway-1"),
    ],
)
def test_a_guess_of_no_kind_or_place_is_explained(
    system: System, kind: str, place: str, reason: str
) -> None:
    hidden = begin()
    with pytest.raises(UnknownName, match=reason):
        hidden.name(kind, place)
    assert score(hidden)["wrong guesses"] == 0


def test_the_first_time_of_each_step_counts(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(mystery.time, "monotonic", lambda: now)
    hidden = begin()
    for now, step in enumerate(("detected", "located", "repaired"), start=1):
        for _ in range(2):
            if step == "detected":
                hidden.detected("requests of half a second")
            elif step == "located":
                assert hidden.name("Slow-Replica", RIGHT[1]).startswith("Right, after 2 s")
            else:
                system.broken = False
                hidden.repaired()
            now += 10
    row = score(hidden)
    assert (row["detected"], row["located"], row["repaired"]) == (1, 2, 3)
    assert row["saw"] == "requests of half a second"


def test_a_repair_is_measured(system: System) -> None:
    hidden = begin()
    assert hidden.repaired().startswith("Not yet")
    system.away = True
    assert hidden.repaired().startswith("That cannot be measured yet")
    assert score(hidden)["repaired"] is None
    system.away = system.broken = False
    assert hidden.repaired().startswith("Repaired")
    assert score(hidden)["repaired"] is not None


def test_the_end_heals_and_notes_no_time(system: System) -> None:
    hidden = begin()
    with pytest.raises(ZeroDivisionError), hidden:
        raise ZeroDivisionError
    assert not system.broken
    assert not hidden.stands
    for late in (lambda: hidden.detected("late"), lambda: hidden.name(*RIGHT)):
        with pytest.raises(LabError, match="has ended"):
            late()
    assert hidden.repaired().startswith("The system is healthy")
    assert [score(hidden)[step] for step in ("detected", "located", "repaired")] == [None] * 3
    assert score(hidden)["kind"] == RIGHT[0]


def test_settings_are_restored_when_the_fault_cannot_begin() -> None:
    asked: list[dict[str, object]] = []

    class Refusing:
        running = True

        def configure(self, service: str, **settings: object) -> None:
            asked.append(settings)
            if settings["INBOX"] == "off":
                raise LabError("It did not start.")

    broken = kinds.configured(cast(Environment, Refusing()), PAYMENTS, {"INBOX": "off"})
    with pytest.raises(LabError), broken:
        pass
    assert asked == [{"INBOX": "off"}, {"INBOX": HEALTHY[PAYMENTS][1]["INBOX"]}]


def test_the_code_that_commits_first_can_replace_the_original() -> None:
    given: list[str] = []

    class Service:
        replaced = staticmethod(lambda *arguments: given.extend(arguments))

    kinds.commit_first(cast(Environment, {PAYMENTS: Service}), PAYMENTS)
    target, source = given
    assert checked(PAYMENTS, target, source).name == "Partition._accept"
    assert source.splitlines()[1].strip() == "self._move_past(delivery.message)"


def test_another_system_is_refused() -> None:
    with pytest.raises(LabError, match="needs a running system"):
        Environment("phase4", runtime="process").mystery(1)
