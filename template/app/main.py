"""The ASGI app: `uvicorn app.main:app`."""

from app.factory import create_app
from app.logs import configure_logging
from app.settings import read_settings

configure_logging()
app = create_app(read_settings())
