"""The layer that measures each speech request by what is really sent."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import account
from serving.metrics import CLIENT_GONE, SPEECH_PATH, Metrics


class Measured:
    """ASGI middleware: keeps the account of each speech request. `log_texts`: whether the log may hold what
    is spoken."""

    def __init__(self, app: ASGIApp, metrics: Metrics, revision: str, *, log_texts: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._revision = revision
        self._log_texts = log_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != SPEECH_PATH:
            await self._app(scope, receive, send)
            return
        code, first_audio, complete = CLIENT_GONE, None, False
        mine = account.begin(scope, self._metrics, self._revision)

        async def watch(message: Message) -> None:
            nonlocal code, first_audio, complete
            await send(message)
            if message["type"] == "http.response.start":
                code = str(message["status"])
            elif message["type"] == "http.response.body":
                if code == "200" and first_audio is None and message.get("body"):
                    first_audio = time.monotonic() - mine.began
                complete = not message.get("more_body", False)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            code, complete = "500", True
            raise
        finally:
            mine.ended(code if complete else CLIENT_GONE, first_audio=first_audio, with_text=self._log_texts)
