"""A scripted upstream: a server that speaks the wire formats of LLM providers and follows commands in prompts.

`upstream.py` listens on a free port of the loopback and prints its address. What a prompt makes it do is in
scene.py, how it says that in a wire format in dialect_NAME.py. Beside the providers' paths it has
`GET /_cancelled`, the prompts of all answers whose readers went away before the end, and `GET /_calls`, how
many requests came.
"""

import json
import select
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dialect_anthropic
import dialect_gemini
import dialect_openai
from scene import Refusal, play

DIALECTS = (dialect_openai, dialect_anthropic, dialect_gemini)

# A client that asks the upstream directly is refused with it, as a provider would.
WRONG_KEY = "wrong-key-of-nobody"


class Gone(Exception):
    """The reader went away."""


class Upstream(ThreadingHTTPServer):
    """The server, and what it saw."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.cancelled = []
        self.n_calls = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        # A reader that goes away between two requests is none.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The pieces of a stream leave at once.
    wbufsize = 0
    disable_nagle_algorithm = True

    def do_GET(self):
        with self.server.lock:
            seen = {"/_cancelled": list(self.server.cancelled), "/_calls": self.server.n_calls}
        if self.path in seen:
            return self.reply(200, seen[self.path])
        return self.reply(404, {"error": {"message": f"nothing at {self.path}"}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.n_calls += 1
        dialect = next((dialect for dialect in DIALECTS if dialect.answers(self.path)), None)
        if dialect is None:
            return self.reply(404, {"error": {"message": f"nothing at {self.path}"}})
        if dialect.key(self.headers) == WRONG_KEY:
            return self.refuse(dialect, Refusal(401, "no such key", code="invalid_api_key"))
        try:
            asked = dialect.read(body, self.headers, self.path)
            scene = asked if isinstance(asked, Refusal) else play(asked)
        except (LookupError, TypeError, ValueError) as problem:
            scene = Refusal(400, f"the upstream cannot read this: {problem!r}")
        if isinstance(scene, Refusal):
            return self.refuse(dialect, scene)
        try:
            if asked.stream:
                self.stream(dialect.events(scene, asked), scene.pause_s)
            else:
                self.wait(scene.pause_s * len(scene.pieces()))
                self.reply(200, dialect.whole(scene, asked))
        except (Gone, ConnectionError):
            self.close_connection = True
            with self.server.lock:
                self.server.cancelled.append(asked.said)

    def wait(self, seconds):
        """Lets the time pass that a model takes, and fails as soon as the reader closes the connection."""
        until = time.monotonic() + seconds
        is_readable, _, _ = select.select([self.connection], [], [], seconds)
        if not is_readable:
            return
        if not self.connection.recv(1, socket.MSG_PEEK):
            raise Gone
        # The next request is there already, so nothing tells whether its sender stays. The model takes its time still.
        time.sleep(max(0, until - time.monotonic()))

    def stream(self, events, pause_s):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wait(pause_s)
        self.wfile.write(b"0\r\n\r\n")

    def refuse(self, dialect, refusal):
        headers = {"retry-after": refusal.retry_after} if refusal.retry_after else {}
        self.reply(refusal.status, dialect.error(refusal), headers)

    def reply(self, status, value, headers=()):
        data = json.dumps(value, ensure_ascii=False).encode()
        head = {"content-type": "application/json", "content-length": str(len(data)), **dict(headers)}
        self.send_response(status)
        for name, text in head.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = Upstream(int(sys.argv[1]) if len(sys.argv) == 2 else 0)
    print(server.url, flush=True)
    server.serve_forever()
