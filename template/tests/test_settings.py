from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from app.database_url import SYSTEM, DatabaseUrl, Host, Tls, UrlError, split_url
from app.db.temporary import UNREACHABLE_URL
from app.errors import UnavailableError
from app.settings import read_migration_settings, read_settings

HERE, AWAY = (Host("localhost", 1),), (Host("db.example.com", 1),)


@pytest.mark.parametrize(
    ("place", "away"),
    [
        ("localhost/app", False),
        ("app@127.0.0.1:1234/app", False),
        ("[::1]:1234/app", False),
        ("%2Frun%2Fserver/app", False),
        ("db.example.com/app", True),
        ("app:p%40ssword@10.0.0.1:1234/app", True),
        ("localhost,db.example.com:1234/app", True),
    ],
)
def test_urls_beyond_this_machine_are_told_from_those_on_it(place: str, away: bool) -> None:
    assert DatabaseUrl(split_url(f"test://{place}", ["test"]).hosts, "", "", "").leads_away is away


@pytest.mark.parametrize(("database_tls", "meant"), [("auto", Tls.REQUIRE), ("verify", Tls.VERIFY_FULL), ("off", None)])
def test_where_the_url_says_nothing_of_tls_a_setting_does(
    monkeypatch: pytest.MonkeyPatch, database_tls: Literal["auto", "verify", "off"], meant: Tls | None
) -> None:
    away = DatabaseUrl(AWAY, "", "", "")
    for url, tls in ((away, meant), (replace(away, hosts=HERE), None), (replace(away, tls=Tls.ALLOW), Tls.ALLOW)):
        monkeypatch.setattr("app.db.url.read_url", lambda _, url=url: url)
        database = read_settings(database_url="any", database_tls=database_tls).database
        assert database.tls == tls
        assert database.is_tls_assumed is (tls is Tls.REQUIRE)


def test_a_revision_is_given_or_read_from_a_file_or_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REVISION", raising=False)
    file = tmp_path / "REVISION"
    assert read_settings(revision_file=file).served_revision == "unknown"
    file.write_text("abc123\n")
    assert read_settings(revision_file=file).served_revision == "abc123"
    assert read_settings(revision="def456", revision_file=file).served_revision == "def456"


def test_a_revision_in_a_variable_of_the_platforms_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVISION", "unknown")  # as an image has it that nobody gave one
    monkeypatch.setenv("PLATFORM_COMMIT", "abc123")
    assert read_settings(revision_variable="PLATFORM_COMMIT").served_revision == "abc123"
    assert read_settings(revision_variable="NO_COMMIT").served_revision == "unknown"


@pytest.mark.parametrize(
    ("said", "ca_file", "meant"),
    [
        (None, None, None),
        (None, "ca.pem", Tls.VERIFY_FULL),
        (Tls.OFF, "ca.pem", Tls.OFF),
        (Tls.REQUIRE, None, Tls.REQUIRE),
        (Tls.REQUIRE, "ca.pem", Tls.VERIFY_CA),
        (Tls.VERIFY_CA, "ca.pem", Tls.VERIFY_CA),
        (Tls.VERIFY_FULL, None, Tls.VERIFY_FULL),
        (None, SYSTEM, Tls.VERIFY_FULL),
    ],
)
def test_the_url_s_word_on_tls_wins(said: Tls | None, ca_file: str | None, meant: Tls | None) -> None:
    url = DatabaseUrl(AWAY, "", "", "", tls=said)
    assert url.protected(ca_file, default=None).tls == meant
    socket = DatabaseUrl((Host("/run/server", 1),), "", "", "", tls=said)
    assert socket.protected("ca.pem", default=Tls.REQUIRE).tls is None


@pytest.mark.parametrize(("said", "ca_file"), [(Tls.VERIFY_CA, None), (Tls.VERIFY_CA, SYSTEM), (Tls.REQUIRE, SYSTEM)])
def test_verification_without_the_means_is_refused(said: Tls, ca_file: str | None) -> None:
    with pytest.raises(UrlError):
        DatabaseUrl(AWAY, "", "", "", tls=said).protected(ca_file, default=Tls.VERIFY_FULL)


def test_the_url_is_read_from_its_file_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "url"
    monkeypatch.setenv("DATABASE_URL", "")
    with pytest.raises(SystemExit):
        read_settings(database_url_file=file)
    assert f"settings: DATABASE_URL cannot be read from {file}" in capsys.readouterr().err
    file.write_text(f" {UNREACHABLE_URL}\n", encoding="utf-8")
    settings = read_settings(database_url_file=file)
    assert settings.url == UNREACHABLE_URL
    assert settings.database.database
    file.unlink()
    with pytest.raises(UnavailableError):
        _ = settings.database


def test_migrations_can_have_a_url_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE_URL)
    assert read_migration_settings().url == UNREACHABLE_URL
    own = f"{UNREACHABLE_URL}_own"
    file = tmp_path / "url"
    file.write_text(own, encoding="utf-8")
    monkeypatch.setenv("MIGRATION_DATABASE_URL_FILE", str(file))
    assert read_migration_settings().url == own
    assert read_settings().url == UNREACHABLE_URL
    monkeypatch.setenv("DATABASE_URL", "")
    assert read_migration_settings().url == own
