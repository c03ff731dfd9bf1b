"""Nodes with a network of their own each: namespaces on one bridge, so that what is between them can be cut.

A cut loses packets and tells nobody: no address goes away, no connection is refused. The tests stay in
touch with every node all the time, as a client beside it would.
"""
import os
import pathlib
import socket
import subprocess
import sys

from cluster import PG_PORT, PORT, Cluster, Failed

DEAD_END = "02:00:00:00:0d:ed"
RULES = "77"  # the preference of what we add to a namespace


def ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Failed("ip %s: %s" % (" ".join(map(str, words)), done.stderr.strip()))
    return done


def why_not():
    """Why no namespaces can be made here; '' when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = "bt%d" % os.getpid()
    try:
        ip("netns", "add", name)
        ip("link", "add", name, "type", "bridge")
    except (OSError, Failed) as problem:
        return "no network namespace or bridge can be made here: %s" % problem
    finally:
        ip("link", "del", name, check=False)
        ip("netns", "del", name, check=False)
    return ""


def has_taps():
    """A link can be given a round-trip time here."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
        return True
    except OSError:
        return False


class Network:
    """A bridge with a free /24 of 198.18.0.0/15, which is kept for tests; ours is .254."""

    def __init__(self):
        used = ip("-j", "addr").stdout
        for number in range(256):
            self.bridge, self.prefix = "bt%d" % number, "198.18.%d" % number
            taken = any('"%s' % name in used for name in (self.prefix + ".", self.bridge + "-"))
            if not taken and ip("link", "add", self.bridge, "type", "bridge", check=False).returncode == 0:
                break
        else:
            raise Failed("no free network in 198.18.0.0/16")
        self.names = []  # the first of them is at .1
        self.wires = []
        ip("addr", "add", self.prefix + ".254/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")

    def _space(self, name):
        return "%s-%s" % (self.bridge, name)

    def address(self, name):
        return "%s.%d" % (self.prefix, self.names.index(name) + 1)

    def _wire(self, port, space, rtt_ms):
        """As a pair of veth, but with a round-trip time."""
        words = [sys.executable, "-B", str(pathlib.Path(__file__).with_name("wire.py")), port, port + "n", str(rtt_ms),
                 str(rtt_ms / 4)]
        wire = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wires.append(wire)
        if wire.stdout.readline() != "ready\n":
            raise Failed("no wire of TAP devices can be made here")
        ip("link", "set", port + "n", "netns", space)
        ip("-n", space, "link", "set", port + "n", "name", "eth0")

    def add(self, name, rtt_ms=0):
        """The words that run a program in the namespace. Its frames take 'rtt_ms' there and back."""
        self.names.append(name)
        space, port = self._space(name), "%s-%d" % (self.bridge, len(self.names))
        ip("netns", "add", space)
        if rtt_ms:
            self._wire(port, space, rtt_ms)
        else:
            ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", port, "master", self.bridge, "up")
        ip("-n", space, "link", "set", "lo", "up")
        ip("-n", space, "addr", "add", self.address(name) + "/24", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")
        return ["nsenter", "--net=/run/netns/" + space, "--"]

    def cut(self, one, *others, both=True):
        """What 'one' sends to the others is lost, and what they send to it unless 'both' is False."""
        for other in others or [name for name in self.names if name != one]:
            for here, there in ((one, other), (other, one))[:2 if both else 1]:
                ip("-n", self._space(here), "neigh", "replace", self.address(there), "lladdr", DEAD_END, "dev", "eth0",
                   "nud", "permanent")

    def _ports_to(self, one, other):
        """Those from which 'one' has connections to the other, or had: TCP sends what it has for long after the close."""
        far = "%08X" % int.from_bytes(socket.inet_aton(self.address(other)), sys.byteorder)
        table = subprocess.run(["nsenter", "--net=/run/netns/" + self._space(one), "--", "cat", "/proc/self/net/tcp"],
                               capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in table.splitlines()[1:]]
        return {int(row[1].split(":")[1], 16) for row in rows if row[2].split(":")[0] == far}

    def let_ask(self, one, other):
        """Of two that were cut, 'one' may ask 'other' anew; what was under way before is lost, and what the other asks of it is
        not answered."""
        for port in sorted(self._ports_to(one, other) | {PORT, PG_PORT}):
            ip("-n", self._space(one), "rule", "add", "to", self.address(other), "ipproto", "tcp", "sport", port, "blackhole",
               "pref", RULES)
        for here, there in ((one, other), (other, one)):
            ip("-n", self._space(here), "neigh", "del", self.address(there), "dev", "eth0")

    def silence(self, name):
        """Nobody hears it any more, we neither, and it hears nobody."""
        self.cut(name)
        ip("neigh", "replace", self.address(name), "lladdr", DEAD_END, "dev", self.bridge, "nud", "permanent")
        ip("-n", self._space(name), "neigh", "replace", self.prefix + ".254", "lladdr", DEAD_END, "dev", "eth0", "nud",
           "permanent")

    def link(self, name, state):
        """'down' or 'up'."""
        ip("-n", self._space(name), "link", "set", "eth0", state)

    def mend(self):
        for here in self.names:
            while ip("-n", self._space(here), "rule", "del", "pref", RULES, check=False).returncode == 0:
                pass
            ip("neigh", "del", self.address(here), "dev", self.bridge, check=False)
            ip("-n", self._space(here), "neigh", "del", self.prefix + ".254", "dev", "eth0", check=False)
            for there in self.names:
                ip("-n", self._space(here), "neigh", "del", self.address(there), "dev", "eth0", check=False)

    def close(self):
        for wire in self.wires:
            wire.stdin.close()
            wire.wait(10)
        for number, name in enumerate(self.names, 1):
            ip("link", "del", "%s-%d" % (self.bridge, number), check=False)  # or it goes some time after its namespace
            ip("netns", "del", self._space(name), check=False)
        ip("link", "del", self.bridge, check=False)


class NetworkCluster(Cluster):
    """Each node in its own namespace."""

    def __init__(self, folder, rtt_ms=None, **options):
        """'rtt_ms': {name of a node: round-trip time of its link}."""
        super().__init__(folder, **options)
        self.network = Network()
        self.rtt_ms = rtt_ms or {}

    def __exit__(self, *problem):
        try:
            super().__exit__(*problem)
        finally:
            self.network.close()

    def _address(self):
        return ""

    def _node(self, name, site, user=None):
        node = super()._node(name, site, user)
        node.wrap = self.network.add(name, self.rtt_ms.get(name, 0))
        node.address = self.network.address(name)
        return node
