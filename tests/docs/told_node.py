"""A node that answers what docs/api.yaml tells, over TLS, and refuses what docs/api.yaml does not know.

It is not batond: it holds the command line to the description alone. The pair of both real programs
runs in tests/system.
"""

import functools
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import threading
import urllib.parse

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/unit/golden"
METHODS = ("get", "put", "post", "delete")


def golden(name):
    return json.loads((GOLDEN / f"cli_{name}.json").read_text(encoding="utf-8"))


def make_identity(folder):
    """A CA and the certificate of node west-1, reached by 127.0.0.1."""

    def run(*words):
        subprocess.run(["openssl", *words], check=True, cwd=folder, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("req", "-x509", *key, "-days", "9", "-subj", "/CN=prod CA/O=id", "-keyout", "ca.key", "-out", "ca.crt",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("req", *key, "-subj", "/CN=west-1/O=id", "-keyout", "node.key", "-out", "node.csr")
    (folder / "ext").write_text(
        "subjectAltName=DNS:west-1,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    run("x509", "-req", "-in", "node.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9",
        "-extfile", "ext", "-out", "leaf.crt")
    (folder / "node.crt").write_text((folder / "leaf.crt").read_text() + (folder / "ca.crt").read_text())
    for name in ("ca.key", "node.key"):
        (folder / name).chmod(0o400)


def make_folder(folder, address):
    """The data directory of that node, as far as the command line reads it."""
    node = {
        "cluster": "prod",
        "cluster_id": "6f1f7f0e-6c39-4a53-9d2a-0f6a5f0f8a11",
        "node": "west-1",
        "site": "west",
        "listen": address,
        "advertise": address,
        "database": "managed",
        "pg": {"port": 7444, "listen": "127.0.0.1", "socket": str(folder / "pg/run"), "dbname": "baton"},
        "peers": [],
    }
    (folder / "node.json").write_text(json.dumps(node))
    (folder / "node.json").chmod(0o600)
    folder.chmod(0o700)


@functools.lru_cache(maxsize=1)
def read_api():
    return yaml.safe_load((ROOT / "docs/api.yaml").read_text(encoding="utf-8"))


class Request:
    def __init__(self, method, path, query, headers, body, client):
        self.method, self.path, self.query = method, path, query
        self.headers, self.body, self.client = headers, body, client

    def __repr__(self):
        return f"{self.method} {self.path} {self.query} {self.body}"


class ToldNode:
    """Answers by the examples; `answers[(METHOD, path)]` is a document, a (status, document), or a function of the
    request that gives either."""

    def __init__(self, folder):
        self.api = read_api()
        self.answers, self.seen, self.wrong = {}, [], []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "node.crt", folder / "node.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                node.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = handle_one

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def finish_request(self, request, client_address):
                request.settimeout(30)
                try:
                    with context.wrap_socket(request, server_side=True) as connection:
                        Handler(connection, client_address, self)
                except OSError:
                    pass  # a client that does not trust us, or has gone

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.url = "https://" + self.address
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- the description ----

    def resolve(self, item):
        while "$ref" in item:
            target = self.api
            for part in item["$ref"][2:].split("/"):
                target = target[part]
            item = target
        return item

    def find(self, method, path):
        for template, item in self.api["paths"].items():
            rest = any(self.resolve(p).get("x-baton-rest") for p in item.get("parameters", []))
            pattern = re.sub(r"\\\{\w+\\\}", "(.+)" if rest else "([^/]+)", re.escape(template))
            if method.lower() in item and re.fullmatch(pattern, path):
                return item, item[method.lower()]
        return None, None

    def faults(self, schema, document):
        resolver = jsonschema.RefResolver(base_uri="", referrer=self.api, store={"": self.api})
        checker = jsonschema.Draft202012Validator(schema, resolver=resolver)
        return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(document)]

    def check(self, request):
        """What the description does not know of this request."""
        item, operation = self.find(request.method, request.path)
        if operation is None:
            return ["no such route"]
        parameters = [self.resolve(p) for p in item.get("parameters", []) + operation.get("parameters", [])]
        known = {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}
        faults = [f"query {name}" for name in request.query if name not in known]
        for name, value in request.query.items():
            schema = self.resolve(known.get(name, {}))
            typed = int(value) if schema.get("type") == "integer" else value
            typed = value == "true" if schema.get("type") == "boolean" else typed
            faults += self.faults(schema, typed)
        headers = {p["name"]: p["schema"] for p in parameters if p["in"] == "header"}
        for name in ("If-Match", "Baton-Reason", "Last-Event-ID"):
            if name in request.headers:
                faults += self.faults(headers[name], request.headers[name]) if name in headers else [f"header {name}"]
        body = operation.get("requestBody")
        if body is None and request.body is not None and request.body != {}:
            faults.append("a body")
        if body is not None and request.body is None:
            faults.append("no body")
        if body is not None and request.body is not None:
            faults += self.faults(body["content"]["application/json"]["schema"], request.body)
        return faults

    def told(self, request):
        _, operation = self.find(request.method, request.path)
        real_order = operation["operationId"] == "promote" and not request.body.get("dry_run")
        for status in ("202",) if real_order else ("200", "201"):
            if status in operation["responses"]:
                media = next(iter(self.resolve(operation["responses"][status])["content"].values()))
                assert "example" in media, f"{request}: no example"
                return int(status), media["example"]
        raise AssertionError(request)

    # ---- one request ----

    def handle(self, handler):
        size = int(handler.headers.get("Content-Length") or 0)
        text = handler.rfile.read(size) if size else b""
        url = urllib.parse.urlsplit(handler.path)
        peer = handler.connection.getpeercert()
        request = Request(
            handler.command,
            urllib.parse.unquote(url.path),
            dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True)),
            handler.headers,
            json.loads(text) if text else None,
            dict(part[0] for part in peer["subject"])["commonName"] if peer else None,
        )
        self.seen.append(request)
        faults = self.check(request)
        if faults:
            self.wrong.append((request, faults))
            self.reply(handler, 400, {"faults": faults})
            return
        answer = self.answers.get((request.method, request.path))
        answer = answer(request) if callable(answer) else answer
        if isinstance(answer, str):  # an event stream
            self.stream(handler, answer)
            return
        status, document = answer if isinstance(answer, tuple) else (None, answer)
        if document is None:
            status, document = self.told(request)
        self.reply(handler, status or 200, document)

    @staticmethod
    def reply(handler, status, document):
        text = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    @staticmethod
    def stream(handler, text):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(text.encode())
        handler.close_connection = True
