"""The log: a JSON object a line, on stdout."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


def begin() -> None:
    """Has everything that is logged written so."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def fields(**values: Any) -> dict[str, Any]:
    """What a line says beside its message, as `extra` of a logger; what is None is left out."""
    return {"fields": {key: value for key, value in values.items() if value is not None}}


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger`, `message`, the line's own fields, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, ASCII throughout: whatever it quotes breaks no line and no terminal."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
