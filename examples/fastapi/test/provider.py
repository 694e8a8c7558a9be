"""A provider on loopback: it answers with a fingerprint of the key that it was called with, or refuses it."""

import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keys import fingerprint


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(random.uniform(0, self.server.patience))
        self.server.calls.append(time.monotonic())
        text = fingerprint(self.headers.get("x-goog-api-key", ""))
        status = self.server.refused.get(self.headers.get("x-goog-api-key"), 200)
        body = json.dumps(
            {"candidates": [{"content": {"parts": [{"text": text}]}}], "usageMetadata": {"totalTokenCount": 1200}}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Provider(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.patience = 0.005
        self.calls = []
        self.refused = {}  # statuses by key
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()
