"""A connector server that is fenced: a small program behind nginx, which asks `baton gate` about every request."""
import http.server
import json
import os
import shutil
import subprocess
import threading
import urllib.request

from cluster import BUILD, until
from servers import Authority, free_port

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user {user};
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    server {{
        listen {address}:{port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        location / {{
            auth_request /gate;
            auth_request_set $baton_fenced $upstream_http_baton_fenced;
            add_header Baton-Fenced $baton_fenced always;
            proxy_pass http://127.0.0.1:{app};
        }}
        location = /gate {{
            internal;
            proxy_pass http://127.0.0.1:{gate}/check;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URI $request_uri;
        }}
    }}
}}
"""


class Guarded:
    """What got past the gate is in 'posted': the JSON of every webhook; what came to /notice, in 'told', with its headers.
    The next 'busy' requests to /notice are answered with 503."""

    def __init__(self, folder, address, cluster_id):
        self.folder, self.posted, self.told, self.busy = folder, [], [], 0
        folder.mkdir()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(b"{}")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/notice":
                    outer.told.append((self.headers, body))
                    busy, outer.busy = outer.busy > 0, max(outer.busy - 1, 0)
                    self.answer(b"{}" if busy else b'{"ok": true}', 503 if busy else 200)
                else:
                    outer.posted.append(body)
                    self.answer(b'{"status": "switched"}')

            def answer(self, body, status=200):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.authority = Authority(folder / "ca")
        certificate, key = self.authority.issue("guarded", address)
        self.app = http.server.ThreadingHTTPServer(("127.0.0.1", free_port("127.0.0.1")), Handler)
        self.app.daemon_threads = True
        threading.Thread(target=self.app.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.key = folder / "key"
        self.key.touch(mode=0o600)
        self.key.write_text(os.urandom(32).hex() + "\n")
        self.gate_port = free_port("127.0.0.1", self.app.server_address[1] + 1)
        self.url = "https://%s:%d" % (address, free_port(address))
        state = folder / "gate.json"
        subprocess.run([BUILD / "baton", "gate", "init", "--state", state, "--cluster-id", cluster_id], check=True,
                       capture_output=True)
        (folder / "nginx.conf").write_text(NGINX.format(
            folder=folder, user=os.environ.get("USER") or "root", address=address, port=self.url.rsplit(":", 1)[1],
            certificate=certificate, key=key, app=self.app.server_address[1], gate=self.gate_port))
        with open(folder / "gate.log", "w") as log:
            self.children = [
                subprocess.Popen([BUILD / "baton", "gate", "run", "--state", state, "--key", "k1=%s" % self.key, "--listen",
                                  "127.0.0.1:%d" % self.gate_port], stderr=log),
                subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-e", folder / "nginx.log", "-c",
                                  folder / "nginx.conf"], stderr=log)]
        until("the gate answers", self.epoch)

    def epoch(self):
        """The highest that the gate has seen, "-" for none."""
        with urllib.request.urlopen("http://127.0.0.1:%d/state" % self.gate_port, timeout=5) as answer:
            return json.load(answer)["epoch"]

    def document(self, **more):
        """A connector whose only server this is."""
        return {"main": {"url": self.url, "ca": self.authority.pem}, "sign": {"key_id": "k1", "key_file": str(self.key)},
                "probe": {"path": "/health", "interval_ms": 500, "timeout_ms": 500},
                "activation": [{"driver": "webhook", "url": self.url + "/baton", "timeout_ms": 5000,
                                "expect_body": {"field": "/status", "equals": "switched"}}], **more}

    def stop(self):
        for child in self.children:
            child.terminate()
            child.wait(10)
        self.app.shutdown()
        self.app.server_close()
