"""What the pods of these tests run: a small HTTP server, or a process that ends as its environment says."""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

began = time.monotonic()
alive = threading.Event()
alive.set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one write an answer

    def do_GET(self):
        status = 200
        if self.path == "/readyz" and time.monotonic() - began < float(os.environ.get("READY_AFTER", "0")):
            status = 503
        if self.path == "/livez" and not alive.is_set():
            status = 500
        if self.path == "/die":
            alive.clear()
        if self.path == "/slow":
            time.sleep(0.3)
        text = (
            Path(os.environ["CONFIG"]).read_text()
            if self.path == "/config"
            else os.environ.get("VERSION", "")
        )
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-pod", os.environ.get("POD", ""))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


print("started", os.environ.get("VERSION", ""))
if "EXIT" in os.environ:
    flag = Path(os.environ["ONCE"]) if "ONCE" in os.environ else None
    if flag is None or not flag.exists():
        if flag is not None:
            flag.touch()
        Path(sys.argv[1]).write_text("the reason")
        sys.exit(int(os.environ["EXIT"]))
    sys.exit(0)
if "SLEEP" in os.environ:
    time.sleep(float(os.environ["SLEEP"]))
    sys.exit(0)
server = ThreadingHTTPServer((os.environ["TTS_BIND"], 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
