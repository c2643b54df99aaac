"""Managed servers of the catalog: their limits by name, as answers and as facts for a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from poolwright import questions
from poolwright.errors import UsageError, quoted
from poolwright.questionnaire import near
from poolwright.questions import Facts

ADVICE = "Real limits differ by plan, region and release: ask the server, and give --max-connections what it says."

_SETTINGS = {"clients": "pooler_max_clients", "pool_size": "pooler_pool_size"}  # names of the catalog -> answers


@dataclass(frozen=True)
class ManagedPooler:
    """The pooler of a managed service.

    modes: those it has, the usual one first. max_clients: that it accepts. pool_size: connections that it opens to the
    server for each user and database. arithmetic: where a formula makes the pool size, else "". settings: the answers
    with a number that the service's users can change. date: as of the server.
    """

    label: str
    modes: list[str]
    max_clients: int
    pool_size: int
    arithmetic: str
    settings: list[str]
    date: str
    source: str

    def answers(self) -> dict[str, Any]:
        """The answers about it; without its mode where it has several."""
        known: dict[str, Any] = {"pooler_max_clients": self.max_clients, "pooler_pool_size": self.pool_size}
        return known | ({"pooler_mode": self.modes[0]} if len(self.modes) == 1 else {})


@dataclass(frozen=True)
class ManagedServer:
    """One size of a managed service.

    name: as --server takes it. max_connections: its limit. server_reserve: what the service keeps of it. arithmetic:
    where a formula makes the limit, else "". note: on the service, or "". date: the month in which the source was
    read. pooler: None where the catalog has none.
    """

    name: str
    label: str
    database: str
    max_connections: int
    server_reserve: int
    server_reserve_reason: str
    arithmetic: str
    note: str
    date: str
    source: str
    pooler: ManagedPooler | None

    def document(self) -> dict[str, Any]:
        """The server in the shape of `plan --servers --json`, and of `managed_server` in a plan's."""
        origin = f"{self.name}: {self.max_connections} connections{self._kept}. {self.source} ({self.date})."
        return {**asdict(self), "origin": origin, "advice": ADVICE}

    def facts(self, given: Mapping[str, Any]) -> Facts:
        """What rows of the catalog say while this is the server, beside answers given."""
        limits = {
            "limit_reason": f"the limit of {self.name}" + (f", {self.arithmetic}" if self.arithmetic else ""),
            "server_reserve": self.server_reserve,
            "server_reserve_reason": self.server_reserve_reason,
            "source": f"{self.source} ({self.date})",
        }
        return {"databases": {self.database: limits}, "poolers": {"managed": self._pooler_facts(given)}}

    def answers(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The answers that a plan for this server has, but those of its pooler that are given."""
        pooler = {} if self.pooler is None else self.pooler.answers()
        known = {key: value for key, value in pooler.items() if key not in given}
        return {"database": self.database, "max_connections": self.max_connections, **known}

    def notice(self, stored: Mapping[str, Any]) -> str:
        """What the answers with `stored_answers` make of it, and what would be better."""
        keys = ["max_connections"]
        if stored.get("pooler") == "managed":
            keys += [key for key in _SETTINGS.values() if key in stored]
        answers = " and ".join(f"{key} is {stored[key]}" for key in keys)
        return f"{self.name}: {self.max_connections} connections{self._kept}; {answers}.\n{ADVICE}"

    def stored_answers(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The answers of a project: none says what the service keeps, so what it keeps more than usual is left out."""
        usual = _database_rows()[self.database]["server_reserve"]
        limit = self.max_connections - max(self.server_reserve - usual, 0)
        return {**self.answers(given), "max_connections": limit}

    def _pooler_facts(self, given: Mapping[str, Any]) -> dict[str, str]:
        if self.pooler is None:
            return {}
        known = f"of {self.name}'s pooler, {self.pooler.label}"
        facts = {"source": f"{self.pooler.source} ({self.pooler.date})"}
        if "pooler_max_clients" not in given:
            facts["reason"] = f"the client limit {known}"
        if "pooler_pool_size" not in given:
            formula = f", {self.pooler.arithmetic}" if self.pooler.arithmetic else ""
            facts["pool_reason"] = f"the pool {known}{formula}"
        return facts

    @property
    def _kept(self) -> str:
        arithmetic = f" ({self.arithmetic})" if self.arithmetic else ""
        return arithmetic + (f", {self.server_reserve} of them kept by the server" if self.server_reserve else "")


def servers() -> list[ManagedServer]:
    """All that the catalog has, in its order."""
    return list(_by_name().values())


def find(name: str) -> ManagedServer:
    """The server of this name; UsageError with the nearest names where there is none."""
    found = _by_name().get(name.lower())
    if found is not None:
        return found
    likely = [known for known in _by_name() if name.lower() in known][:5] or near(name, _by_name(), 5)
    hint = f"Did you mean {', '.join(likely)}? " if likely else ""
    raise UsageError(f"There is no managed server called {quoted(name)}.\n{hint}See poolwright plan --servers.")


def check(server: ManagedServer, given: Mapping[str, Any]) -> None:
    """UsageError where answers given contradict the server's; those that a project stored are not `given`."""
    database = given.get("database", server.database)
    if database != server.database:
        raise UsageError(
            f"--server {server.name} has the database {server.database}, and {quoted(database)} is given.\n"
            "Leave one of them out."
        )
    limit = str(given.get("max_connections", 0)).strip()
    if limit not in ("0", str(server.max_connections)):
        raise UsageError(
            f"--server {server.name} means max_connections {server.max_connections}, and {quoted(limit)} is given.\n"
            "Leave one of them out; what the server says itself is right."
        )
    if str(given.get("pooler", "")) == "managed":
        _check_pooler(server, given)


def _check_pooler(server: ManagedServer, given: Mapping[str, Any]) -> None:
    if server.pooler is None:
        missing = [key for key in _SETTINGS.values() if key not in given]
        if missing:
            raise UsageError(
                f"The catalog knows no managed pooler of {server.name}.\n"
                f"Answer {' and '.join(missing)} with what your provider says, or leave --pooler managed out."
            )
        return
    for key, value in server.pooler.answers().items():
        told = str(given.get(key, value)).strip()
        if told != str(value) and key not in server.pooler.settings:
            raise UsageError(
                f"--server {server.name} means {key} {value}, and {quoted(told)} is given.\nLeave one of them out."
            )


@cache
def _by_name() -> dict[str, ManagedServer]:
    return {server.name: server for server in _all()}


def _all() -> Iterator[ManagedServer]:
    for service, row in questions.defaults().values["catalog"]["managed_servers"].items():
        usual = _database_rows()[row["database"]]
        limits = {size: (limit, "") for size, limit in row.get("max_connections", {}).items()}
        limits |= {size: _from_memory(row, gib) for size, gib in row.get("memory_gib", {}).items()}
        for size, (limit, arithmetic) in limits.items():
            yield ManagedServer(
                name=f"{service}-{size}",
                label=row["label"],
                database=row["database"],
                max_connections=limit,
                server_reserve=row.get("server_reserve", usual["server_reserve"]),
                server_reserve_reason=row.get("server_reserve_reason", usual["server_reserve_reason"]),
                arithmetic=arithmetic,
                note=row.get("note", ""),
                date=row["date"],
                source=row["source"],
                pooler=_pooler(row, size, limit),
            )


def _pooler(row: Mapping[str, Any], size: str, limit: int) -> ManagedPooler | None:
    part = row.get("pooler")
    if part is None or size in part.get("without", []):
        return None
    percent = part.get("pool_percent")
    return ManagedPooler(
        label=part["label"],
        modes=part["modes"],
        max_clients=_of(part["clients"], size),
        pool_size=_of(part["pool_size"], size) if percent is None else limit * percent // 100,
        arithmetic="" if percent is None else f"{percent} % of {limit}",
        settings=[_SETTINGS[name] for name in part["settings"]],
        date=part["date"],
        source=part["source"],
    )


def _of(number: int | Mapping[str, int], size: str) -> int:
    return number if isinstance(number, int) else number[size]


def _from_memory(row: Mapping[str, Any], gib: int) -> tuple[int, str]:
    divisor, percent = row["bytes_per_connection"], row["memory_percent"]
    limit = min(gib * 2**30 * percent // (100 * divisor), row["most"])
    return limit, f"{percent} % of {gib} GiB / {divisor} bytes"


def _database_rows() -> Mapping[str, Mapping[str, Any]]:
    rows: Mapping[str, Mapping[str, Any]] = questions.defaults().values["catalog"]["databases"]
    return rows
