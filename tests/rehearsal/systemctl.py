"""What deploy.sh asks of systemd, done with the real commands of the real units, in a root of the test's own.

A script in PATH runs it as `systemctl`. SYSTEMD_ROOT has etc/systemd/system with the units, and run/ for what each runs
with: its credentials, its process id, when it was started, its log.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.processes import is_alive
from tests.units import read_unit

ROOT = Path(os.environ["SYSTEMD_ROOT"])
STOP_SECONDS = 30


class Unit:
    def __init__(self, name: str) -> None:
        self._run = ROOT / "run" / name
        self._run.mkdir(parents=True, exist_ok=True)
        self._values = read_unit(ROOT / f"etc/systemd/system/{name}.service")

    @property
    def process(self) -> int:
        """The id of its main process, or 0 while it does not run."""
        file = self._run / "pid"
        pid = int(file.read_text()) if file.exists() else 0
        return pid if pid and is_alive(pid) else 0

    @property
    def started(self) -> str:
        """When, as systemd writes it with microseconds."""
        file = self._run / "pid"
        if not file.exists():
            return ""
        return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")

    def start(self) -> int:
        """The exit code of what systemctl waits for: the whole run of a oneshot, the start of a service."""
        log = (self._run / "log").open("ab")
        child = subprocess.Popen(
            shlex.split(self._values["ExecStart"][0]),
            cwd=self._values["WorkingDirectory"][0],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        if self._values["Type"] == ["oneshot"]:
            return child.wait()
        (self._run / "pid").write_text(str(child.pid))
        return 0

    def stop(self) -> int:
        """SIGTERM, and wait."""
        pid = self.process
        if pid:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while is_alive(pid):
                if time.monotonic() > deadline:
                    os.killpg(pid, signal.SIGKILL)
                time.sleep(0.05)
        return 0

    def reload(self) -> int:
        """What ExecReload says: a signal for the main process."""
        assert self._values["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
        os.kill(self.process, signal.SIGHUP)
        return 0

    def _environment(self) -> dict[str, str]:
        credentials = self._run / "credentials"
        credentials.mkdir(exist_ok=True)
        for pair in self._values.get("LoadCredential", []):
            name, _, path = pair.partition(":")
            (credentials / name).write_bytes(Path(path).read_bytes())
        pairs = list(self._values.get("Environment", []))
        for file in self._values.get("EnvironmentFile", []):
            lines = Path(file.removeprefix("-")).read_text(encoding="utf-8").splitlines()
            pairs += [line for line in lines if line and not line.startswith("#")]
        given = dict(pair.split("=", 1) for pair in pairs)
        runtime = self._run / "runtime"
        for name in self._values.get("RuntimeDirectory", []):
            (runtime / name).mkdir(parents=True, exist_ok=True)
        places = {"%d": credentials, "%t": runtime}
        for mark, place in places.items():
            given = {name: value.replace(mark, str(place)) for name, value in given.items()}
        return {"PATH": os.environ["PATH"], **given}


def main(verb: str, *rest: str) -> int:
    if verb == "daemon-reload":
        return 0
    unit = Unit(rest[-1])
    if verb == "show":
        assert rest[:-1] == ("--timestamp", "us", "--property", "ActiveEnterTimestamp", "--value"), rest
        print(unit.started)
        return 0
    if verb == "restart":
        unit.stop()
        return unit.start()
    if verb == "reload-or-restart":
        return unit.reload() if unit.process else unit.start()
    return {"start": unit.start, "stop": unit.stop}[verb]()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
