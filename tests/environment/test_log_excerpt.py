"""The lines of a log that an error message shows: those of this start, each once, the cause among them."""

import json

from environment.supervisor.log_excerpt import MOST, excerpt

PROBE = json.dumps(
    {"level": "INFO", "message": "request", "path": "/ready", "status": 503, "time": "t"}
)
CAUSE = json.dumps(
    {
        "level": "ERROR",
        "message": "database cannot be prepared, trying again",
        "exc_info": 'Traceback (most recent call last):\n  File "a.py", line 1, in b\n'
        "sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database\n"
        "[SQL: BEGIN]\n(Background on this error at: https://sqlalche.me/e/20/4xp6)",
        "time": "12:00:00",
    }
)
REQUEST = json.dumps({"level": "INFO", "message": "request", "path": "/pay", "status": 201})


def test_a_short_log_is_shown_whole() -> None:
    assert excerpt("one\ntwo") == "one\ntwo"
    assert excerpt("") == ""


def test_the_cause_is_shown_and_not_the_probes_after_it() -> None:
    shown = excerpt("\n".join([CAUSE, *[PROBE] * 500]))
    assert shown == (
        "12:00:00 ERROR database cannot be prepared, trying again: "
        "sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database"
    )


def test_a_line_that_repeats_is_shown_once_with_its_number() -> None:
    lines = [f"12:00:{n:02} WARN [consumer-{n}] no broker answers" for n in range(40)]
    assert excerpt("\n".join(["begin", *lines])) == f"begin\n{lines[0]} (40 times)"


def test_lines_of_an_earlier_start_are_left_out() -> None:
    earlier = ["ERROR an old defect", "stopping", "stopped"]
    log = "\n".join([*earlier, "starting", "FATAL a new defect"])
    assert excerpt(log, "\n".join(earlier[-2:])) == "starting\nFATAL a new defect"


def test_a_cause_before_a_long_shutdown_is_shown() -> None:
    cause = ["[12:00] ERROR Exiting Kafka due to fatal exception", "java.lang.Error: node ID"]
    frames = [f"\tat kafka.Server{n}.run(Server.scala:{n})" for n in range(30)]
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    shutdown = [f"[12:01] INFO {a} {b} has stopped" for a in words for b in words]
    lines = excerpt("\n".join([*shutdown[:30], *cause, *frames, *shutdown[30:]])).splitlines()
    assert len(lines) <= MOST
    assert lines[:2] == cause
    assert lines[-1] == shutdown[-1]


def test_the_first_and_the_last_of_many_errors_are_shown() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    lines = excerpt("\n".join(f"ERROR {letter}" for letter in letters)).splitlines()
    assert len(lines) <= MOST
    assert (lines[0], lines[-1]) == ("ERROR a", "ERROR z")


def test_requests_of_clients_stay_visible() -> None:
    assert "request" in excerpt(REQUEST)


def test_valkey_and_nginx_mark_their_errors_in_their_own_way() -> None:
    valkey = "7:M 27 Nov 2026 15:05:13.123 # Bad file format reading the append only file"
    nginx = '2026/11/27 15:05:13 [emerg] 7#7: unknown directive "serve" in nginx.conf:3'
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    for cause in (valkey, nginx):
        after = [f"{a} {b}" for a in words for b in words]
        assert cause in excerpt("\n".join(["begin", cause, *after]))
