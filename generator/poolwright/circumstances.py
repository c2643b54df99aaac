"""What the plan takes for granted around its connections: pooler, time limits, TLS, privileges, files."""

from dataclasses import replace

from poolwright.comparisons import PROBLEM, WARNING, Row, Server
from poolwright.questions import choices


def refused(server: Server) -> Row:
    """What the server said instead of taking the connection."""
    reason, address = server.facts["reason"], server.facts["address"]
    if reason.startswith("TLS"):
        advice = (
            "DATABASE_CA_FILE has to hold the certificate that the server's is signed by, and the URL the name of the"
            " host that it is for."
        )
    else:
        advice = (
            "Nothing else can be seen. Where all connections are taken, end some; else correct the user, password and"
            f" database in the URL of {address}."
        )
        if not server.settings["ca_file"]:
            advice += " Servers that ask for TLS may refuse in the same words: set DATABASE_CA_FILE."
    return Row("connection", "accepted", reason, PROBLEM, advice)


def version(server: Server) -> Row:
    """Whether the server is still maintained."""
    product, version = server.facts["product"], str(server.facts["version"]).split()[0]
    oldest = server.catalog["maintained"][product]
    row = Row("version", f"{product} {oldest} or newer", f"{product} {version}")
    if _numbers(version) < _numbers(oldest):
        return replace(row, verdict=WARNING, advice="Its makers no longer maintain it: plan an upgrade.")
    return row


def pooler(server: Server) -> Row | None:
    """Whether a pooler stands in the path where the plan has one, and only there."""
    if "pooled" not in server.facts:
        return None
    answered = server.evaluation.answers["pooler"]
    plan = server.values["catalog"]["poolers"][answered]
    row = Row("pooler", plan["label"], "a pooler" if server.facts["pooled"] else "none")
    if server.facts["pooled"] and not server.values["pooled"]:
        listed = choices("pooler", server.evaluation.answers)
        known = " or ".join(f"pooler={choice.value}" for choice in listed[1:] if not choice.refusal)
        advice = f"Prepared statements and session settings fail behind it. Answer {known}, or connect directly."
        return replace(row, verdict=PROBLEM, advice=advice)
    if server.values["pooled"] and not server.facts["pooled"]:
        advice = f"Each of the app's {server.values['planned_total']} connections is one of the server's. Connect to"
        advice += f" {server.values['pooler_named']}, or answer pooler=none."
        return replace(row, verdict=PROBLEM if plan["seen"] else WARNING, advice=advice)
    return row


def statement_timeout(server: Server) -> Row | None:
    """Whether the server stops a statement before the app gives up."""
    found, planned = server.facts.get("statement_timeout_seconds"), server.settings["statement_timeout_seconds"]
    if found is None:
        return None
    row = Row("statement timeout", f"{planned:g} s", f"{found:g} s" if found else "none")
    role = server.catalog["role_timeouts"].format(user=server.facts["user"], name="statement_timeout", seconds=planned)
    if not found:
        return replace(row, verdict=PROBLEM, advice=f"Nothing stops a statement that hangs. Set a limit:\n{role}")
    if only := server.facts.get("statement_timeout_for"):
        advice = f"It stops {only} alone: other statements go on in the server after their 504. "
        if server.facts["pooled"]:
            advice += "Behind a pooler nothing ends them: keep them short."
        else:
            advice += "poolwright update brings what ends them."
        return replace(row, found=f"{row.found}, {only} only", verdict=WARNING, advice=advice)
    if found > server.settings["command_timeout_seconds"]:
        return replace(row, verdict=WARNING, advice=f"The app gives up before the server does. Set a limit:\n{role}")
    return row


def functions(server: Server) -> Row | None:
    """Whether the server has what the project's SQL calls, where that differs."""
    if "missing" not in server.facts:
        return None
    missing = server.facts["missing"]
    row = Row("functions", "all that the app calls", "all")
    if not missing:
        return row
    advice = "Migrations or requests fail. poolwright update brings SQL without it, or use a maintained server."
    return replace(row, found=f"no {', no '.join(missing)}", verdict=PROBLEM, advice=advice)


def idle_in_transaction(server: Server) -> Row | None:
    """Whether the server ends a transaction that its process has forgotten."""
    found = server.facts.get("idle_in_transaction_seconds")
    if found is None:
        return None
    longest = server.settings["command_timeout_seconds"]
    row = Row("idle in transaction", f"at most {longest:g} s", f"{found:g} s" if found else "no limit")
    if found:
        return row
    name = "idle_in_transaction_session_timeout"
    role = server.catalog["role_timeouts"].format(user=server.facts["user"], name=name, seconds=longest)
    return replace(row, verdict=WARNING, advice=f"The locks of a process that hangs stay. Set a limit:\n{role}")


def crash(server: Server) -> Row | None:
    """Whether the server notices that a process has died whose statement runs or waits for a lock."""
    found = server.facts.get("crash_check_seconds")
    if found is None:
        return None
    longest = server.values["catalog"]["plan"]["crash_check_seconds"]
    row = Row("crashed process", f"noticed in {longest:g} s", f"noticed in {found:g} s" if found else "not noticed")
    if found:
        return row
    name = "client_connection_check_interval"
    role = server.catalog["role_timeouts"].format(user=server.facts["user"], name=name, seconds=longest)
    limit = f"{server.settings['statement_timeout_seconds']:g} s"
    advice = f"Its connections stay beside those of the next one, up to {limit}. Let the server look:\n{role}"
    return replace(row, verdict=WARNING, advice=advice)


def transaction_lifetime(server: Server) -> Row | None:
    """Whether the server ends a transaction soon whose process is dead: until then nobody else writes its documents."""
    if "transaction_lifetime_seconds" not in server.facts:
        return None
    found, longest = server.facts["transaction_lifetime_seconds"], server.settings["command_timeout_seconds"]
    row = Row("transaction lifetime", f"at most {longest:g} s", "not shown" if found is None else f"{found:g} s")
    if found is None:
        return replace(row, verdict=WARNING, advice=server.catalog["see_limit"].format_map(server.facts))
    if found <= longest:
        return row
    name = "transactionLifetimeLimitSeconds"
    told = server.catalog["role_timeouts"].format(name=name, seconds=longest)
    advice = f"What the transaction of a killed process has changed cannot be written for up to {found * 1.5:g} s."
    return replace(row, verdict=WARNING, advice=f"{advice} Set a limit:\n{told}")


def idle_timeout(server: Server) -> Row | None:
    """Whether the app closes idle connections before the server does."""
    found = server.facts.get("idle_timeout_seconds")
    if found is None or server.facts["pooled"]:
        return None
    recycle = server.settings["pool_recycle_seconds"]
    name = server.facts["idle_timeout_name"]
    row = Row("idle timeout", f"over {recycle:g} s", f"{found:g} s ({name})" if found else "none")
    if 0 < found <= recycle:
        percent = server.values["catalog"]["plan"]["recycle_percent"]
        shorter = int(found * percent // 100)
        advice = f"The server closes them first, and a request fails. Set POOL_RECYCLE_SECONDS={shorter} or less."
        return replace(row, verdict=PROBLEM, advice=advice)
    return row


def tls(server: Server) -> Row | None:
    """Whether the connection is encrypted and the server's certificate verified, beyond this machine."""
    if "encrypted" not in server.facts:
        return None
    encrypted, verified = server.facts["encrypted"], server.facts["verified"]
    found = ("verified" if verified else "not verified") if encrypted else "not encrypted"
    row = Row("TLS", "verified", found)
    if server.facts["local"] and not encrypted:
        return replace(row, planned="not needed", found="off, same machine")
    if verified:
        return row
    advice = "Set DATABASE_CA_FILE to the certificate of the authority that signed the server's."
    heard = "Anybody on the way reads rows and passwords" if not encrypted else "Anybody can pose as the server"
    return replace(row, verdict=WARNING if encrypted else PROBLEM, advice=f"{heard}. {advice}")


def privileges(server: Server) -> Row | None:
    """Whether the app can change more than rows."""
    if "privileges" not in server.facts:
        return None
    held = server.facts["privileges"]
    row = Row("privileges", "rows only", ", ".join(held) or "rows only")
    if held and not server.facts["user"]:
        return replace(
            row, verdict=WARNING, advice="Anybody who reaches the server may do anything: ask for passwords."
        )
    if held:
        advice = "Let the app log in as a user who cannot, and migrate as another."
        return replace(row, verdict=WARNING, advice=advice)
    return row


def replica_set(server: Server) -> Row | None:
    """Whether transactions are possible, and the URL names the right set."""
    if "replica_set" not in server.facts:
        return None
    asked, found = server.facts["replica_set_asked"], server.facts["replica_set"]
    row = Row("replica set", asked or "any", found or "none")
    if found is None:
        advice = "Transactions need one, a single node will do: mongod --replSet rs0, then rs.initiate()."
        return replace(row, verdict=PROBLEM, advice=advice)
    if asked and asked != found:
        return replace(row, verdict=PROBLEM, advice=f"No server is found. Set replicaSet={found} in DATABASE_URL.")
    return row


def file(server: Server) -> Row | None:
    """Whether the file is there and can be written."""
    if "file" not in server.facts:
        return None
    folder, path = server.facts["folder"], server.facts["address"]
    row = Row("file", "writable, and its folder", "as planned")
    if not folder:
        advice = "SQLite makes files beside its own: correct DATABASE_URL, or let the app's user write there."
        return replace(row, found="its folder is missing or read-only", verdict=PROBLEM, advice=advice)
    if not server.facts["file"]:
        return replace(row, found="missing", verdict=PROBLEM, advice=f"python -m app.migrate makes {path}.")
    if not server.facts["writable"]:
        return replace(row, found="read-only", verdict=PROBLEM, advice=f"Let the app's user write to {path}.")
    return row


def journal(server: Server) -> Row | None:
    """Whether readers and the writer get on beside each other."""
    found = server.facts.get("journal_mode")
    if found is None:
        return None
    row = Row("journal mode", "wal", found)
    if found == "wal":
        return row
    return replace(row, verdict=PROBLEM, advice="Readers and the writer wait for each other. Use a local disk.")


def _numbers(version: str) -> list[int]:
    return [int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")]
