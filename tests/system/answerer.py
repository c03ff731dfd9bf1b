"""A connector server as a process of its own, to be killed: answers over HTTPS with its name, and notes the id of each request
as soon as it has read it, before it works on it.

    answerer.py NAME PORT CERTIFICATE KEY NOTES WORK_MS
"""
import http.server
import os
import ssl
import sys
import threading

NAME, PORT, CERTIFICATE, KEY, NOTES, WORK_MS = sys.argv[1:]
NOTED = os.open(NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
NEVER = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path != "/health":
            os.write(NOTED, (self.headers["X-Id"] + "\n").encode())
            NEVER.wait(int(WORK_MS) / 1000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(NAME)))
        self.end_headers()
        self.wfile.write(NAME.encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_):  # who asked has gone
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server = Server(("127.0.0.1", int(PORT)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
