"""What the probe reads from a URL, and what it may say of a failure."""

import contextlib
import runpy
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import PyMongoError

import poolwright

PLACES = runpy.run_path(str(Path(poolwright.__file__).parent / "probe" / "places.py"))
Place: Any = PLACES["Place"]


@pytest.mark.parametrize(
    ("url", "address", "local"),
    [
        ("postgresql://app@localhost/app", "localhost:5432", True),
        ("postgresql://app:p%40s@127.0.0.1:6432/app", "127.0.0.1:6432", True),
        ("postgresql://app@[::1]:5433/app", "::1:5433", True),
        ("postgresql://app@192.0.2.1/app?sslmode=require", "192.0.2.1:5432", False),
        ("postgresql:///app", "localhost:5432", True),
        ("mongodb://127.0.0.1:1,192.0.2.1:2/app?replicaSet=rs0", "127.0.0.1:1, 192.0.2.1:2", False),
        ("mysql://app@localhost/app?unix_socket=/run/my.sock", "/run/my.sock", True),
        ("postgresql://app@/app?host=/", "//.s.PGSQL.5432", True),
        ("postgresql://app@%2F/app", "//.s.PGSQL.5432", True),
        ("postgres:///app?host=192.0.2.1,192.0.2.2&port=1,2\n", "192.0.2.1:1, 192.0.2.2:2", False),
        ("postgresql://app@/app?hostaddr=127.0.0.1", "127.0.0.1:5432", True),
        ("mysql://app@localhost/app?socket=/run/my.sock", "/run/my.sock", True),
        ("mongodb+srv://app:a%40b@cluster0.example.invalid/app?w=majority", "cluster0.example.invalid", False),
    ],
)
def test_addresses(url: str, address: str, local: bool) -> None:
    place = Place(url, 5432)
    assert (place.address, place.local) == (address, local)


def test_a_file_has_its_path() -> None:
    assert Place("sqlite:////data/a@b:c.db", 0).address == "/data/a@b:c.db"
    assert Place("sqlite:///app.db", 0).address == "app.db"
    assert Place("sqlite:////data/a%20b.db?mode=rw\n", 0).address == "/data/a b.db"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:p@ss@db/app",
        "postgresql://app:p/ss@db/app",
        "postgresql://app:p?ss@db/app",
        "postgresql://app:p#ss@db/app",
        "postgresql://app@db:p4ss/app",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(PLACES["UnreadableUrlError"]) as raised:
        Place(url, 5432)
    assert "ss" not in str(raised.value).replace("password", "")


def test_a_failure_names_no_piece_of_the_password() -> None:
    url = "postgresql://app:secret%2Fhidden%40x@127.0.0.1:1/app"
    place = Place(url, 5432)
    words = f"no host hidden for {url}: secret/hidden@x, secret%2Fhidden%40x or secret"
    masked = place._masked(words)
    assert masked == "no host *** for ***: ***, *** or ***"


def test_a_failure_is_told_in_the_server_s_own_words() -> None:
    place = Place("mysql://app@localhost?unix_socket=/run/none", 3306)
    assert place.failure(OSError("x"))["failed"] == "unreachable"
    words = PLACES["_words"]
    assert words([ValueError("cannot"), RuntimeError(1045, "Access denied")]) == "Access denied"
    assert words([ValueError('connection to "h" failed: FATAL:  no such role')]).strip() == "no such role"
    assert words([ValueError("closed (configured timeouts: 5 s)")]) == "closed"


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
def test_a_server_that_hangs_up_is_not_away(resets: bool) -> None:
    """As one that wants TLS does: by which of the two depends on whether it has read what it was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with contextlib.suppress(OSError):  # the end of the test
                while True:
                    connection, _ = listener.accept()
                    if not resets:
                        connection.recv(4096)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(resets), 0))
                    connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"mongodb://127.0.0.1:{listener.getsockname()[1]}/app?directConnection=true"
        client: pymongo.MongoClient[Any]
        with pymongo.MongoClient(url, serverSelectionTimeoutMS=3000) as client, pytest.raises(PyMongoError) as raised:
            client.admin.command("hello")
        place = Place(url, 27017)
        # Whether one is hung up on while it still connects is a matter of microseconds.
        assert {place.failure(raised.value)["failed"] for _ in range(100)} == {"refused"}
        listener.shutdown(socket.SHUT_RDWR)
