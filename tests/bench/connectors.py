"""Connectors of the bench: configured, with a real HTTPS server behind them, and probed by every node."""
import pathlib
import tempfile

from cluster import Failed, until
from proxies import Nginx
from servers import Authority, free_port


def name_of(number):
    return "c-%02d" % number


class Connectors:
    """So many connectors whose servers all are one nginx; there until the end of the block."""

    def __init__(self, bench, count):
        self.bench = bench
        self.names = [name_of(number) for number in range(1, count + 1)]
        self.server = None

    def change(self, changes):
        """One group of changes, on the primary of now."""
        reply = self.bench.cluster.primary().api("POST", "/v1/config", {"changes": changes})
        if reply.status != 200:
            raise Failed("the connectors are refused: %s" % reply.body)

    def __enter__(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="connectors-", dir=self.bench.folder))
        folder.chmod(0o755)  # its workers pass through
        self.authority = Authority(folder / "ca")
        self.server = Nginx(folder / "server", self.authority, "tcf", free_port("127.0.0.1"))
        try:
            document = {"main": self.server.document()}
            self.change([{"key": "connector/" + name, "value": document} for name in self.names])
            for node in self.bench.cluster.nodes.values():
                until("%s has probed all" % node.name, lambda n=node: self.probed(n), 60, 0.1)
        except BaseException:
            self.server.stop()
            raise
        return self

    def probed(self, node):
        rows = [entry for entry in node.status()["connectors"] if entry["node"] == node.name]
        return len(rows) == len(self.names) and all((row["probe"] or row["latent_probe"])["ok"] for row in rows)

    def __exit__(self, *_):
        try:
            self.change([{"key": "connector/" + name, "delete": True} for name in self.names])
        finally:
            self.server.stop()
