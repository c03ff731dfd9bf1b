"""Real HTTPS connector servers for tests and demo: a CA, a certificate each, one thread each."""
import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading


def openssl(*words, cwd):
    subprocess.run(["openssl", *map(str, words)], cwd=cwd, check=True, capture_output=True)


class Authority:
    """A CA of the connector servers' own, as a company would have."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=connector servers CA", "-keyout", "ca.key", "-out", "ca.crt", cwd=self.folder)

    @property
    def pem(self):
        return (self.folder / "ca.crt").read_text()

    def issue(self, name, address, days=30):
        key, request, certificate, extension = ("%s.%s" % (name, end) for end in ("key", "csr", "crt", "ext"))
        (self.folder / extension).write_text("subjectAltName=IP:%s,DNS:%s\n" % (address, name))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                "-keyout", key, "-out", request, cwd=self.folder)
        openssl("x509", "-req", "-in", request, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
                "-extfile", extension, "-out", certificate, cwd=self.folder)
        return self.folder / certificate, self.folder / key


def free_port(address, first=int(os.environ.get("BATON_SERVER_PORT", "21000"))):
    """Below the ports that outgoing connections take."""
    for port in range(first, 32000):
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
    raise OSError("no free port on " + address)


class Server:
    """Answers /health and says who it is, lists its target connectors; counts what it was asked."""

    def __init__(self, authority, name, address, port=0):
        self.name = name
        self.healthy = True
        self.asked = 0
        self.headers = None  # of the last request
        self.targets = ["active-directory", "oracle"]
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked += 1
                outer.headers = self.headers
                body = json.dumps({"server": outer.name, "path": self.path, "version": "2.19.1",
                                   "connectors": outer.targets}).encode()
                self.send_response(200 if outer.healthy else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        certificate, key = authority.issue(name, address)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.show(certificate, key)
        self.authority = authority
        self.http = http.server.ThreadingHTTPServer((address, port or free_port(address)), Handler)
        self.http.daemon_threads = True
        self.http.socket = self.context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = "https://%s:%d" % (address, self.http.server_address[1])
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def show(self, certificate, key):
        """New connections get this one."""
        self.context.load_cert_chain(certificate, key)

    def document(self):
        """For main or alternate of a connector."""
        return {"url": self.url, "ca": self.authority.pem}

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
