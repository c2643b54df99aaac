import pytest

from app import plan
from app.settings import read_settings


@pytest.mark.parametrize(
    ("place", "required"),
    [
        ("localhost/app", False),
        ("app@127.0.0.1:1234/app", False),
        ("[::1]:1234/app", False),
        ("/app?host=/run/server", False),
        ("db.example.com/app", True),
        ("app:p%40ssword@10.0.0.1:1234/app", True),
        ("localhost,db.example.com:1234/app", True),
        ("/app?host=db.example.com", True),
        ("db.example.com/app?sslmode=require", False),
        ("db.example.com/app?tls=false", False),
    ],
)
def test_tls_is_required_beyond_this_machine_unless_the_url_says_how(place: str, required: bool) -> None:
    url = f"{plan.URL_SCHEME}://{place}"
    assert read_settings(database_url=url, database_ca_file=None, database_tls="auto").requires_tls is required
    assert not read_settings(database_url=url, database_ca_file=None, database_tls="off").requires_tls
    assert read_settings(database_url=url, database_ca_file="ca.pem", database_tls="off").requires_tls
