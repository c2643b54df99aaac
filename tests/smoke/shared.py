"""Services that several tests use, one after the other: starting one costs more than most tests do."""

from pathlib import Path

from tests.service import Service


class SharedServices:
    """As `start_service` starts them; whoever asks again for the same URL and settings is given the same service.

    most: how many run at once; for a further one the others are stopped.
    """

    def __init__(self, project: Path, most: int) -> None:
        self._project = project
        self._most = most
        self._running: dict[object, Service] = {}

    def __call__(self, database_url: str, **settings: object) -> Service:
        key = (database_url, *sorted(settings.items()))
        found = self._running.pop(key, None)
        if found is None or not found.process.running:
            if len(self._running) >= self._most:
                self.stop()
            found = Service(self._project, database_url, **settings)  # type: ignore[arg-type]
        self._running[key] = found
        return found

    def stop(self) -> None:
        while self._running:
            self._running.popitem()[1].stop()
