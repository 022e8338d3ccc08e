"""The service's log, one JSON object per line: route, key and status of each request. No names, no pictures."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("passerby.service")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `extra={"fields": {...}}` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        entry: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            # only where it happened: messages of foreign exceptions may quote their data
            entry["error"] = record.exc_info[0].__name__
            entry["trace"] = _places(record.exc_info[2])
        return json.dumps(entry)


def _places(trace: Any) -> list[str]:
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places


def write(
    message: str, fields: Mapping[str, Any] | None = None, *, level: int = logging.INFO, trace: bool = False
) -> None:
    """Write one line; `trace` adds where the current exception was raised."""
    logger.log(level, message, extra={"fields": dict(fields or {})}, exc_info=trace)


def configuration() -> dict[str, Any]:
    """For `logging.config.dictConfig`: the service's and uvicorn's loggers on stderr as JSON."""
    handled = {"handlers": ["stderr"], "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": sys.stderr}},
        "loggers": {"passerby.service": handled, "uvicorn": handled, "uvicorn.access": {"level": "CRITICAL"}},
    }
