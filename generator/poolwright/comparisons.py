"""What the plan says of a server beside what was found there, a row for each comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from poolwright.questions import Evaluation, evaluate

OK, WARNING, PROBLEM = "ok", "warning", "problem"

Facts = Mapping[str, Any]
_MOST_LIMIT = 1_000_000  # that the question max_connections takes
_MOST_NAMES = 4


@dataclass(frozen=True)
class Row:
    """One comparison; planned and found are numbers where they are counts.

    advice: what to do, in a line, and where there is one the statement for it in another; or "".
    """

    what: str
    planned: str | int
    found: str | int
    verdict: str = OK
    advice: str = ""


@dataclass(frozen=True)
class Server:
    """A server with what the plan says of it.

    needed: connections that the app, or the pooler before it, can open to it; kept: those for people and migrations.
    """

    facts: Facts
    settings: Facts
    evaluation: Evaluation

    @property
    def values(self) -> dict[str, Any]:
        return self.evaluation.values

    @property
    def catalog(self) -> dict[str, Any]:
        row: dict[str, Any] = self.values["catalog"]["databases"][self.evaluation.answers["database"]]["check"]
        return row

    @property
    def needed(self) -> int:
        if self.values["pooled"]:
            return max(int(self.values["pooler_connections"]), int(self.values["pooler_least"]))
        return int(self.values["planned_total"])

    @property
    def reserve(self) -> int:
        return int(self.values["server_reserved"]["server"])

    @property
    def kept(self) -> int:
        return int(self.values["server_reserved"]["operations"] + self.values["server_reserved"]["migrations"])


def limit(server: Server) -> Row | None:
    """Whether the plan fits below the server's limit of connections."""
    if "limit" not in server.facts:
        return None
    planned, found = server.values["server_limit"], server.facts["limit"]
    if found is None:
        return Row("limit", planned, "not shown", WARNING, server.catalog["see_limit"].format_map(server.facts))
    row = Row("limit", planned, found)
    other = evaluate({**server.evaluation.answers, "max_connections": max(1, min(found, _MOST_LIMIT))})
    left = max(found - server.reserve - server.kept, 0)
    if left < server.needed:
        least = server.needed + server.reserve + server.kept
        choices = [f"raise it to {least} on the server"]
        if other.fits:
            each = other.values["connections_per_process"]
            choices.append(f"answer max_connections={found}, which gives each process {each}")
        else:
            choices += [remedy for remedy in other.values["remedies"][:1] if "max_connections" not in remedy]
        told = ", or ".join(choices)
        advice = f"It leaves {left} of the {server.needed} planned connections. {told[0].upper()}{told[1:]}."
        return replace(row, verdict=PROBLEM, advice=advice)
    if found < planned:
        return replace(row, verdict=WARNING, advice=f"The plan fits still. Answer max_connections={found}.")
    if other.values["connections_per_process"] > server.values["connections_per_process"]:
        return replace(row, advice=f"Answer max_connections={found} to use them all.")
    return row


def server_reserve(server: Server) -> Row | None:
    """Whether it fits beside what the server keeps for its administrators."""
    found = server.facts.get("server_reserve", 0)
    if (not found and not server.reserve) or server.facts["limit"] is None:
        return None
    row = Row("server reserve", server.reserve, found)
    if found <= server.reserve:
        return row
    left = max(server.facts["limit"] - found - server.kept, 0)
    more = server.values["server_reserved"]["operations"] + found - server.reserve
    if left < server.needed <= server.facts["limit"] - server.reserve - server.kept:
        advice = f"It leaves {left} of the {server.needed} planned connections. Answer reserve={more}, or lower it."
        return replace(row, verdict=PROBLEM, advice=advice)
    return replace(row, verdict=WARNING, advice=f"The plan fits still. Answer reserve={more}.")


def role_limit(server: Server) -> Row | None:
    """Whether the app's role and database may hold as many connections."""
    if "role_limit" not in server.facts:
        return None
    limits = [server.facts["role_limit"], server.facts.get("database_limit")]
    found = min((limit for limit in limits if limit is not None), default=None)
    statement = server.catalog["limit_role"]
    total = server.needed + server.values["server_reserved"]["migrations"]
    told = statement.format(user=server.facts["user"], connections=total)
    row = Row("role limit", f"at least {server.needed}", "none" if found is None else found)
    if found is None:
        return replace(row, advice=f"This keeps the rest free for others:\n{told}")
    if found < server.needed:
        return replace(row, verdict=PROBLEM, advice=f"The app is refused above {found}. Allow more:\n{told}")
    return row


def pool(server: Server) -> Row | None:
    """Whether the settings of this environment are the plan's."""
    values = server.values
    each = server.settings["pool_size"] + server.settings["max_overflow"] + values["sockets_beside_pool"]
    total, planned = values["processes"] * each, values["connections_per_process"]
    row = Row(
        "pools",
        f"{values['processes']} x {planned} = {values['planned_total']}",
        f"{values['processes']} x {each} = {total}",
    )
    if each == planned:
        return row
    most = planned - values["sockets_beside_pool"]
    advice = f"Remove POOL_SIZE and MAX_OVERFLOW from the environment and .env: together {most}, the plan says."
    return replace(row, verdict=PROBLEM if total > values["capacity"] else WARNING, advice=advice)


def present(server: Server) -> Row | None:
    """Whether the connections that are open now leave room for the plan."""
    if "present" not in server.facts:
        return None
    own, by_name = server.facts["present"]["own"], server.facts["present"]["others"]
    others = sum(by_name.values())
    row = Row("connections now", f"{server.needed} app, {server.kept} others", _counted(own, by_name))
    if own is None:
        return row
    if own > server.needed:
        advice = "More processes run than the plan counts, or with larger pools: correct workers, instances or surge."
        return replace(row, verdict=PROBLEM, advice=advice)
    if others > server.kept:
        free = server.facts["limit"] - server.facts["server_reserve"] - others
        advice = f"Others leave {max(free, 0)} of the {server.needed} planned connections. Answer reserve={others}."
        return replace(row, verdict=PROBLEM if free < server.needed else WARNING, advice=advice)
    return row


def _counted(own: int | None, others: Mapping[str, int]) -> str:
    most = sorted(others.items(), key=lambda pair: -pair[1])
    named = [f"{name} {count}" for name, count in most[:_MOST_NAMES]] + ["..."] * (len(most) > _MOST_NAMES)
    if own is None:
        return f"{sum(others.values())}, whoever's"
    return f"{own} app, {sum(others.values())} others" + (f" ({', '.join(named)})" if named else "")
