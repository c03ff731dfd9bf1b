"""A cluster whose members hear each other through recorders: what they say is kept, and may be judged.

Each node advertises the port of a recorder before it. The recorder shows the node's certificate, and passes
each request on with the certificate of the member that sent it.
"""
import http.client
import http.server
import ssl
import threading

import cluster
from servers import free_port


class Exchange:
    """One request of a member and its answer."""

    def __init__(self, caller, method, path, body, status, kind, answer):
        self.caller = caller
        self.method = method
        self.path = path
        self.body = body
        self.status = status
        self.kind = kind  # Content-Type of the answer
        self.answer = answer

    def __repr__(self):
        return "%s: %s %s %r: %d %r" % (self.caller, self.method, self.path, self.body, self.status, self.answer)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def _caller(self):
        """Name in the certificate of who asks; None without one."""
        shown = self.connection.getpeercert()
        return dict(pair[0] for pair in shown["subject"])["commonName"] if shown else None

    def _pass_on(self):
        recorder = self.server.recorder
        caller = self._caller()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        connection = http.client.HTTPSConnection(recorder.node.address, cluster.PORT, timeout=60,
                                                 context=recorder.context_of(caller))
        try:
            connection.request(self.command, self.path, body or None, {
                name: value for name, value in self.headers.items() if name in ("Content-Type", "Accept")})
            reply = connection.getresponse()
            answer = reply.read()
        except OSError:  # as if there were no recorder
            self.close_connection = True
            self.connection.close()
            return
        finally:
            connection.close()
        recorder.keep(Exchange(caller, self.command, self.path, body, reply.status,
                               reply.getheader("Content-Type"), answer))
        self.send_response(reply.status)
        for name in ("Content-Type", "Retry-After", "Location"):
            if reply.getheader(name):
                self.send_header(name, reply.getheader(name))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _pass_on


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self):
        connection, address = super().get_request()
        connection.settimeout(60)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = self.recorder.node.folder
        context.load_cert_chain(folder / "node.crt", folder / "node.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL  # who joins has none yet
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        pass  # a member that ends in the middle


class Recorder:
    def __init__(self, node, exchanges):
        self.node = node
        self.exchanges = exchanges
        self.port = free_port(node.address)
        self.server = Server((node.address, self.port), Handler)
        self.server.recorder = self
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def context_of(self, caller):
        if caller is not None:
            return self.node.cluster.nodes[caller].context()
        return ssl.create_default_context(cafile=str(self.node.folder / "ca.crt"))

    def keep(self, exchange):
        self.exchanges.append(exchange)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Recorded(cluster.Cluster):
    """As Cluster; '.exchanges' is all that members have asked of each other, in order of the answers."""

    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        self.exchanges = []
        self.recorders = []

    def _where(self, node):
        recorder = Recorder(node, self.exchanges)
        self.recorders.append(recorder)
        return super()._where(node) + ["--advertise", "%s:%d" % (node.address, recorder.port)]

    def close(self):
        super().close()
        for recorder in self.recorders:
            recorder.close()
