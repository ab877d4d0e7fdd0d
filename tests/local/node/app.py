"""What the pods of these tests run: a small HTTP server, or a process that ends as its environment says."""

import json
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
spoken: list[str] = []  # of each request for speech: its Host, and who answers it by the route


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
        if self.path == "/v1/audio/speech":
            spoken.append(f"{self.headers['host']} {self.headers.get('x-tts-answered-by', '')}".strip())
            time.sleep(float(os.environ.get("SPEAK_SECONDS", "0")))
            status = int(os.environ.get("SPEAK_STATUS", "200"))
        body = self.text().encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-pod", os.environ.get("POD", ""))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.do_GET()

    def text(self):
        if self.path == "/config":
            return Path(os.environ["CONFIG"]).read_text()
        return json.dumps(spoken) if self.path == "/spoken" else os.environ.get("VERSION", "")

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
if "GROW" in os.environ:
    time.sleep(float(os.environ["GROW"]))
    held = bytearray(os.urandom(1 << 20) * 200)
    time.sleep(600)
if "FAREWELL" in os.environ:
    said = [name for name in ("TTS_WEBHOOK_URL",) if name in os.environ]
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(Path(os.environ["FAREWELL"]).write_text(f"bye {said}") and 0)
    )
    print("guards", flush=True)
    time.sleep(600)
if "SLEEP" in os.environ:
    time.sleep(float(os.environ["SLEEP"]))
    sys.exit(0)
server = ThreadingHTTPServer((os.environ["TTS_BIND"], 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
