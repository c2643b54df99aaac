"""The life of one item, over HTTP."""

import uuid
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.smoke.traffic import item_fields, new_item

MILLIARD = 1_000_000_000
NIL = uuid.UUID(int=0)
FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
NAMES_TO_KEEP = ["a", "x" * 200, "\U0001f600" * 200, FAMILY, "שלום עולם", "مرحبا بالعالم", "日本語"]
NAMES_TO_KEEP += ["Ünïcödé", "e\N{COMBINING ACUTE ACCENT}", "'; DROP TABLE items; --", "%s {0} $1 :a"]
NAMES_TO_KEEP += ["null", "\N{RIGHT-TO-LEFT MARK}x", 'quote " and \\', "<b>&amp;", "$set", "a.b"]
BAD_NAMES: list[object] = ["", "   ", "\u3000\t\n", "x" * 201, "\U0001f600" * 201, "a\tb", "a\nb", "a\0b", "\0"]
BAD_NAMES += ["a\x7fb", "a\x1fb", "a\x85b", "a\x9fb", None, 5, True, [], {"$ne": 1}]
BAD_NUMBERS = [-1, MILLIARD + 1, 2**31, 2**63, 2**64, 10**100, 1.5, True, "5", "", None, [1], {}]
# Some of them Python's JSON parser takes, but no answer can echo them.
STRANGE_BODIES = {
    "half a surrogate pair": rb'{"name": "\ud800", "price_cents": 1, "stock": 1}',
    "NaN": b'{"name": "a", "price_cents": NaN, "stock": 1}',
    "Infinity": b'{"name": "a", "price_cents": Infinity, "stock": 1}',
    "5000 digits": b'{"name": "a", "price_cents": ' + b"9" * 5000 + b', "stock": 1}',
    "not UTF-8": b'{"name": "\xff\xfe", "price_cents": 1, "stock": 1}',
    "cut off": b'{"name": "a", "price_cents": 1, "stock"',
    "empty": b"",
    "nested 100000 deep": b"[" * 100_000,
}


def test_a_created_item_is_answered_whole_and_can_be_read(client: httpx2.Client) -> None:
    fields = item_fields(price_cents=1250, stock=7)
    before = datetime.now(UTC)
    created = client.post("/items", json=fields)
    assert created.status_code == 201
    item = created.json()
    assert set(item) == {"id", "name", "price_cents", "stock", "created_at"}
    assert {key: item[key] for key in fields} == fields
    assert str(uuid.UUID(item["id"])) == item["id"]
    when = datetime.fromisoformat(item["created_at"])
    assert when.utcoffset() == timedelta(0)
    assert before - timedelta(seconds=5) < when < datetime.now(UTC) + timedelta(seconds=5)
    read = client.get(f"/items/{item['id']}")
    assert (read.status_code, read.json()) == (200, item)


@pytest.mark.parametrize("number", [0, 1, MILLIARD])
def test_numbers_at_their_limits_are_kept(client: httpx2.Client, number: int) -> None:
    item = new_item(client, price_cents=number, stock=number)
    read = client.get(f"/items/{item['id']}").json()
    assert (read["price_cents"], read["stock"]) == (number, number)


@pytest.mark.parametrize("number", BAD_NUMBERS, ids=lambda number: repr(number)[:20])
@pytest.mark.parametrize("field", ["price_cents", "stock"])
def test_any_other_number_is_422(client: httpx2.Client, field: str, number: object) -> None:
    item = new_item(client)
    fields = item_fields(**{field: number})
    assert client.post("/items", json=fields).status_code == 422
    assert client.patch(f"/items/{item['id']}", json={field: number}).status_code == 422
    assert client.put("/items", json=[fields]).status_code == 422
    assert client.get(f"/items/{item['id']}").json() == item


@pytest.mark.parametrize("name", NAMES_TO_KEEP, ids=ascii)
def test_a_name_of_any_script_is_kept_exactly(client: httpx2.Client, name: str) -> None:
    item = new_item(client, name=name)
    assert item["name"] == name
    assert client.get(f"/items/{item['id']}").json()["name"] == name
    assert client.delete(f"/items/{item['id']}").status_code == 204


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:20])
def test_any_other_name_is_422(client: httpx2.Client, name: object) -> None:
    item = new_item(client)
    fields = item_fields(name=name)
    assert client.post("/items", json=fields).status_code == 422
    assert client.patch(f"/items/{item['id']}", json={"name": name}).status_code == 422
    assert client.put("/items", json=[fields]).status_code == 422
    assert client.get(f"/items/{item['id']}").json() == item


@pytest.mark.parametrize("around", [" {} ", "\t{}\n", "\u00a0{}\u3000"], ids=ascii)
def test_white_space_around_a_name_is_stripped(client: httpx2.Client, around: str) -> None:
    name = f"n {uuid.uuid4()}"
    item = new_item(client, name=around.format(name))
    assert item["name"] == name
    # After stripping it is the same name, so it exists.
    assert client.post("/items", json=item_fields(name=around.format(name))).status_code == 409
    assert client.put("/items", json=[item_fields(name=around.format(name))]).status_code == 200
    renamed = client.patch(f"/items/{item['id']}", json={"name": around.format(name + "!")})
    assert renamed.json()["name"] == name + "!"


def test_200_characters_and_white_space_around_them_are_a_valid_name(client: httpx2.Client) -> None:
    name = f"{uuid.uuid4()}".ljust(200, "x")
    assert new_item(client, name=f"  {name}  ")["name"] == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Case", "case"),
        ("résumé", "resume"),
        ("e\N{COMBINING ACUTE ACCENT}", "é"),
        ("straße", "strasse"),
        ("\N{ROCKET}", "\N{PILE OF POO}"),
        ("İ", "i"),
        ("ﬁ", "fi"),
        ("a  b", "a b"),
        ("\N{FULLWIDTH DIGIT ONE}", "1"),
        ("zero\u200bwidth", "zerowidth"),
    ],
    ids=ascii,
)
def test_names_that_look_alike_are_different_names(client: httpx2.Client, one: str, other: str) -> None:
    # The varying letters stand at the end, where MySQL's collations would pad.
    prefix = uuid.uuid4()
    first = new_item(client, name=f"{prefix}{one}")
    second = new_item(client, name=f"{prefix}{other}")
    assert client.post("/items", json=item_fields(name=f"{prefix}{one}")).status_code == 409
    changed = client.put("/items", json=[item_fields(name=f"{prefix}{other}", stock=77)])
    assert changed.json() == {"written": 1}
    assert client.get(f"/items/{first['id']}").json()["stock"] == 10
    assert client.get(f"/items/{second['id']}").json()["stock"] == 77


@pytest.mark.parametrize("body", STRANGE_BODIES.values(), ids=STRANGE_BODIES.keys())
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/items"), ("PATCH", f"/items/{NIL}"), ("PUT", "/items"), ("POST", "/orders")]
)
def test_a_body_that_cannot_be_read_is_422(client: httpx2.Client, method: str, path: str, body: bytes) -> None:
    response = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    assert "detail" in response.json()


@pytest.mark.parametrize("body", [[], None, "item", 1], ids=repr)
def test_a_body_that_is_no_object_is_422(client: httpx2.Client, body: object) -> None:
    assert client.post("/items", json=body).status_code == 422
    assert client.patch(f"/items/{NIL}", json=body).status_code == 422
    assert client.post("/orders", json=body).status_code == 422
    assert client.put("/items", json=[body]).status_code == 422
    assert client.put("/items", json={"items": []}).status_code == 422


@pytest.mark.parametrize("missing", ["name", "price_cents", "stock"])
def test_a_missing_field_is_422(client: httpx2.Client, missing: str) -> None:
    fields = item_fields()
    del fields[missing]
    assert client.post("/items", json=fields).status_code == 422
    assert client.put("/items", json=[fields]).status_code == 422


def test_a_name_that_exists_is_409_and_changes_nothing(client: httpx2.Client) -> None:
    item = new_item(client)
    again = client.post("/items", json=item_fields(name=item["name"], stock=99))
    assert again.status_code == 409
    assert isinstance(again.json()["detail"], str)
    assert client.get(f"/items/{item['id']}").json() == item


def test_an_unknown_item_is_404(client: httpx2.Client) -> None:
    path = f"/items/{uuid.uuid4()}"
    assert client.get(path).status_code == 404
    assert client.patch(path, json={"stock": 1}).status_code == 404
    assert client.delete(path).status_code == 404
    order = client.post("/orders", json={"item_id": str(uuid.uuid4()), "quantity": 1})
    assert order.status_code == 404


@pytest.mark.parametrize("text", ["1", "x", "%00", "0" * 31, "0" * 33, "-1", "null"])
def test_an_identifier_that_is_no_uuid_is_422(client: httpx2.Client, text: str) -> None:
    assert client.get(f"/items/{text}").status_code == 422
    assert client.patch(f"/items/{text}", json={"stock": 1}).status_code == 422
    assert client.delete(f"/items/{text}").status_code == 422
    assert client.get(f"/items?after={text}").status_code == 422
    order = client.post("/orders", json={"item_id": text, "quantity": 1})
    assert order.status_code == 422


def test_an_identifier_may_be_in_capitals(client: httpx2.Client) -> None:
    item = new_item(client)
    assert client.get(f"/items/{item['id'].upper()}").json() == item


@pytest.mark.parametrize(
    "change",
    [{"name": "renamed"}, {"price_cents": 0}, {"stock": 0}, {"price_cents": 5, "stock": 6}, {}],
    ids=str,
)
def test_patch_changes_what_is_given_and_nothing_else(client: httpx2.Client, change: dict[str, object]) -> None:
    item = new_item(client)
    if "name" in change:
        change = {"name": f"renamed {uuid.uuid4()}"}
    patched = client.patch(f"/items/{item['id']}", json=change)
    assert patched.status_code == 200, patched.text
    assert patched.json() == {**item, **change}
    assert client.get(f"/items/{item['id']}").json() == {**item, **change}


def test_renaming_to_a_name_that_exists_is_409_and_to_the_own_name_200(client: httpx2.Client) -> None:
    taken, item = new_item(client), new_item(client)
    path = f"/items/{item['id']}"
    assert client.patch(path, json={"name": taken["name"], "stock": 1}).status_code == 409
    assert client.get(path).json() == item
    assert client.patch(path, json={"name": item["name"]}).status_code == 200


def test_a_deleted_item_is_gone_and_its_name_is_free(client: httpx2.Client) -> None:
    item = new_item(client)
    path = f"/items/{item['id']}"
    deleted = client.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404
    assert new_item(client, name=item["name"])["id"] != item["id"]


def test_an_item_with_orders_cannot_be_deleted(client: httpx2.Client) -> None:
    item = new_item(client, stock=1)
    ordered = client.post("/orders", json={"item_id": item["id"], "quantity": 1})
    assert ordered.status_code == 201
    refused = client.delete(f"/items/{item['id']}")
    assert refused.status_code == 409
    assert isinstance(refused.json()["detail"], str)
    assert client.get(f"/items/{item['id']}").status_code == 200
