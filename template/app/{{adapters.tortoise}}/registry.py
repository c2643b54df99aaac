"""What Tortoise has to know: the models, their migrations, and the client that queries are written for."""

from typing import Any

from tortoise.context import TortoiseContext, get_current_context, set_global_context

# Without credentials: connections are lent (app/db/lent.py), so the `tortoise` command can write migrations from this
# and needs no database.
CONFIG: dict[str, Any] = {
    "connections": {"default": {"engine": "app.db.client", "credentials": {}}},
    "apps": {
        "app": {"models": ["app.db.models"], "migrations": "app.db.migrations", "default_connection": "default"},
    },
}


async def register_models() -> None:
    """Make the models usable in all tasks of this process; a second call does nothing.

    Tortoise finds the models in a context, which only the task has that made it: requests run in other tasks than the
    lifespan. The global context, meant for this, is seen by all of them; no connection is in it.
    """
    if get_current_context() is None:
        with TortoiseContext() as context:
            await context.init(CONFIG)
        set_global_context(context)
