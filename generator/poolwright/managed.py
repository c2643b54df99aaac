"""Managed servers of the catalog: their limits by name, as answers and as facts for a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from poolwright import questions
from poolwright.errors import UsageError, quoted
from poolwright.questionnaire import near

ADVICE = "Real limits differ by plan, region and release: ask the server, and give --max-connections what it says."


@dataclass(frozen=True)
class ManagedServer:
    """One size of a managed service.

    name: as --server takes it. max_connections: its limit. server_reserve: what the service keeps of it. arithmetic:
    where a formula makes the limit, else "". note: on the
    service, or "". date: the month in which the source was read.
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

    def document(self) -> dict[str, Any]:
        """The server in the shape of `plan --servers --json`, and of `managed_server` in a plan's."""
        origin = f"{self.name}: {self.max_connections} connections{self._kept}. {self.source} ({self.date})."
        return {**vars(self), "origin": origin, "advice": ADVICE}

    def facts(self) -> dict[str, dict[str, Any]]:
        """What its database's row of the catalog says while this is the server."""
        return {
            self.database: {
                "limit_reason": f"the limit of {self.name}" + (f", {self.arithmetic}" if self.arithmetic else ""),
                "server_reserve": self.server_reserve,
                "server_reserve_reason": self.server_reserve_reason,
                "source": f"{self.source} ({self.date})",
            }
        }

    def answers(self) -> dict[str, Any]:
        """The answers that a plan for this server has."""
        return {"database": self.database, "max_connections": self.max_connections}

    def notice(self, stored: int) -> str:
        """What `stored_answers` made of it, and what would be better."""
        return f"{self.name}: {self.max_connections} connections{self._kept}; max_connections is {stored}.\n{ADVICE}"

    def stored_answers(self) -> dict[str, Any]:
        """The answers of a project: none says what the service keeps, so what it keeps more than usual is left out."""
        usual = _database_rows()[self.database]["server_reserve"]
        return {**self.answers(), "max_connections": self.max_connections - max(self.server_reserve - usual, 0)}

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
            )


def _from_memory(row: Mapping[str, Any], gib: int) -> tuple[int, str]:
    divisor, percent = row["bytes_per_connection"], row["memory_percent"]
    limit = min(gib * 2**30 * percent // (100 * divisor), row["most"])
    return limit, f"{percent} % of {gib} GiB / {divisor} bytes"


def _database_rows() -> Mapping[str, Mapping[str, Any]]:
    rows: Mapping[str, Mapping[str, Any]] = questions.defaults().values["catalog"]["databases"]
    return rows
