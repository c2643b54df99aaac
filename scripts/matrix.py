"""Every layer rendered, linted, type-checked and tested, each in a fresh environment of its own, on servers of ours."""

import os
import subprocess
import sys
from contextlib import ExitStack

from tests.servers import MongoDB, MySQL, PostgreSQL
from tests.servers.base import owner_url

SERVERS: dict[str, type[PostgreSQL] | type[MySQL] | type[MongoDB]] = {
    "POSTGRESQL": PostgreSQL,
    "MYSQL": MySQL,
    "MONGODB": MongoDB,
}
LAYERS = ["deployment=vm", "pooler=none", "read_replica=false", "cache=none"]  # one combination for each layer


def main() -> int:
    """The exit code of `poolwright matrix`; arguments are handed on to it."""
    with ExitStack() as stack:
        environment = dict(os.environ)
        for name, kind in SERVERS.items():
            server = kind()
            stack.callback(server.close)
            server.start()
            environment[f"DATABASE_URL_{name}"] = owner_url(server.url(server.create_database()))
        command = [sys.executable, "-m", "poolwright", "matrix", "--jobs", "2"]
        command += [word for layer in LAYERS for word in ("--filter", layer)]
        command += [word for check in ("lint", "types", "tests") for word in ("--check", check)]
        return subprocess.run([*command, *sys.argv[1:]], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
