"""What a cancelled request does with the operation that it began."""

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")


class Operation(asyncio.Future[T]):
    """The result of a running operation; a caller that is cancelled waits for its end and is cancelled then.

    Without the wait it would roll its transaction back while the server may not have read the operation yet, which
    then begins the transaction anew. Each operation ends within the statement timeout.
    """

    def __init__(self, running: asyncio.Future[T]) -> None:
        super().__init__(loop=running.get_loop())
        self._caller_cancelled = False
        running.add_done_callback(self._end)

    def cancel(self, msg: Any = None) -> bool:
        self._caller_cancelled = not self.done()
        return self._caller_cancelled

    def _end(self, running: asyncio.Future[T]) -> None:
        error = None if running.cancelled() else running.exception()
        if self._caller_cancelled or running.cancelled():
            super().cancel()
        elif error is not None:
            self.set_exception(error)
        else:
            self.set_result(running.result())
