"""The log: lines of text, or of JSON (LOG_FORMAT), each with the id of the request that it is about."""

import json
import logging
from datetime import UTC, datetime

from app.request_context import request_id
from app.settings import read_log_settings


def configure_logging() -> None:
    """Make all loggers of this process, uvicorn's included, write to stderr as LOG_FORMAT and LOG_LEVEL say.

    With several workers uvicorn has a process that supervises them and never imports the app: log_config.json says the
    same to that one (UVICORN_LOG_CONFIG).
    """
    settings = read_log_settings()
    handler = logging.StreamHandler()
    handler.setFormatter(make_formatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        if logger.handlers:  # uvicorn.access has none after --no-access-log
            logger.handlers = [handler]
        if "log_level" in settings.model_fields_set:  # else uvicorn's own --log-level holds
            logger.setLevel(settings.log_level)


def make_formatter() -> logging.Formatter:
    """What log_config.json names as the formatter: that of LOG_FORMAT."""
    return _Json() if read_log_settings().log_format == "json" else _Text()


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(request)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        identifier = request_id.get()
        record.request = f"[{identifier}] " if identifier else ""
        return super().format(record)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,  # the name that Google Cloud, Datadog and Loki know
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in line.items() if value is not None}, ensure_ascii=False)
