#!/usr/bin/python3
"""The demo: three nodes on two sites, two connector servers, a switchover, a disaster and the return.

Each step says what it expects and checks it; the run fails when something is not as told. On a
terminal the cluster stays up at the end until Ctrl-C; DEMO_EXIT=1 ends by itself.
"""
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
import ssl

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import BUILD, Cluster, Failed, logs, until  # noqa: E402
from servers import Authority, Server  # noqa: E402

STARTED = time.monotonic()
TIMELINE = []


def say(text):
    now = (time.monotonic() - STARTED) * 1000
    TIMELINE.append((now, text))
    print("%9.0f ms  %s" % (now, text), flush=True)


def title(text):
    print("\n== %s" % text, flush=True)


def show(text, prefix="             | "):
    for line in text.rstrip().splitlines():
        print(prefix + line, flush=True)


def timed(action):
    start = time.monotonic()
    result = action()
    return result, (time.monotonic() - start) * 1000


def expect(what, condition):
    if not condition:
        raise Failed("not as told: " + what)


class Demo:
    def __init__(self, folder):
        self.folder = folder
        self.cluster = Cluster(folder / "nodes", name="demo")
        self.authority = Authority(folder / "connector-ca")
        self.main = Server(self.authority, "tcf-east", "127.0.0.1")
        self.alternate = Server(self.authority, "tcf-west", "127.0.0.1")
        self.active = folder / "active"
        self.active.mkdir()
        os.chmod(folder, 0o755)

    def found(self):
        title("Three nodes on two sites")
        _, ms = timed(lambda: self.cluster.init("east-1", "east"))
        say("east-1 is primary of a new cluster (baton init, batond: %.0f ms)" % ms)
        _, ms = timed(lambda: self.cluster.join("east-2", "east"))
        say("east-2 joined by a token and follows (%.0f ms)" % ms)
        _, ms = timed(lambda: self.cluster.join("west-1", "west"))
        say("west-1 joined by a token and follows (%.0f ms)" % ms)
        self.cluster.settled(k=1)
        say("writes are acknowledged by one member beside the primary (k=1 of 2)")

    def configure(self):
        title("One shared configuration, one local setting")
        east, west = self.cluster.east_1, self.cluster.west_1
        east.cli("config", "set", "sync.k", "2", "--reason", "the west shall hold every acknowledged write")
        self.cluster.settled(k=2)
        say("sync.k=2: the loss of a whole site will lose nothing")
        connector = {
            "main": self.main.document(), "alternate": self.alternate.document(),
            "target_connectors": ["active-directory", "oracle"],
            "probe": {"path": "/health", "interval_ms": 1000, "timeout_ms": 1000, "targets_path": "/connectors"},
            "activation": [{"driver": "file", "path": str(self.active / "connector.json"), "format": "json"}],
        }
        (self.folder / "connector.json").write_text(json.dumps(connector))
        east.cli("config", "set", "connector/pam", "--file", self.folder / "connector.json",
                 "--reason", "the PAM connector")
        east.put("app/greeting", "hello from the east")
        until("west-1 has the value", lambda: west.get("app/greeting") == "hello from the east")
        say("app/greeting was written at east-1 and is at west-1")
        west.put("app/greeting", "hello from the west")
        until("east-2 has the value", lambda: self.cluster.east_2.get("app/greeting") == "hello from the west")
        say("and written at west-1, which passed it on to the primary")
        until("main is active", lambda: self.effective() == "main")
        say("east-1 activated the main server: %s answers" % self.ask_active())
        west.cli("local", "set", "connector/pam/use_alternate_server", "true")
        say("use_alternate_server is set on west-1: local, never replicated, ignored until promotion")
        expect("the flag is only on west-1",
               east.api("GET", "/v1/local/connector/pam/use_alternate_server").status == 404)
        until("the latent server is proved", lambda: self.connector("west-1")["latent_probe"]["ok"] is True)
        expect("west uses nothing yet", self.connector("west-1")["effective"] == "none")
        show(west.cli("status").stdout)

    def connector(self, node):
        for entry in self.cluster.primary().status()["connectors"]:
            if entry["node"] == node and entry["name"] == "pam":
                return entry
        raise Failed("no connector of " + node)

    def effective(self):
        primary = self.cluster.primary()
        entry = self.connector(primary.name)
        return entry["effective"] if (entry["activation"] or {}).get("state") == "done" else None

    def ask_active(self):
        """Who answers at the server that the rendered file names."""
        url = json.loads((self.active / "connector.json").read_text())["url"]
        context = ssl.create_default_context(cadata=self.authority.pem)
        with urllib.request.urlopen(url + "/health", timeout=5, context=context) as reply:
            return json.loads(reply.read())["server"]

    def switch_over(self):
        title("Planned switchover to the west and back")
        for target, name, server in (("west", "west-1", "tcf-west"), ("east-1", "east-1", "tcf-east")):
            done, ms = timed(lambda t=target: self.cluster.promote(t, "--reason", "maintenance"))
            show(done.stdout)
            self.cluster.settled(k=2)
            expect("%s is primary" % name, self.cluster.primary().name == name)
            until("%s answers" % server, lambda s=server: self.ask_active() == s)
            say("%s is primary, %s is active and answers (command: %.0f ms)" % (name, server, ms))

    def burn(self):
        title("The east burns")
        east, west = self.cluster.east_1, self.cluster.west_1
        last = east.put("app/last", "acknowledged just before").json
        start = time.monotonic()
        for node in (east, self.cluster.east_2):
            node.kill()
        self.main.stop()
        say("SIGKILL: both batond and both PostgreSQL of the east, and tcf-east")
        refused = self.cluster.promote("west", "--reason", "the east burns", via=west, check=False)
        expect("the promotion is refused while writes could not be acknowledged", refused.returncode != 0)
        show(refused.stdout + refused.stderr)
        ordered = time.monotonic()
        done = self.cluster.promote("west", "--override", "acks", "--reason", "the east burns", via=west)
        took = (time.monotonic() - ordered) * 1000
        show(done.stdout)
        reply = until("a write is acknowledged", lambda: west.put("app/after", "the west goes on").status == 200)
        expect("a write", reply)
        say("west-1 is primary and has acknowledged a write (%.0f ms after the order, %.0f ms after the fire)"
            % (took, (time.monotonic() - start) * 1000))
        expect("nothing acknowledged is lost", west.get("app/last") == "acknowledged just before")
        say("app/last, acknowledged at revision %d before the fire, is there" % last["revision"])
        until("the alternate is active", lambda: self.effective() == "alternate" and self.ask_active() == "tcf-west")
        say("the alternate server is active, and %s answers" % self.ask_active())

    def come_back(self):
        title("The east comes back by itself")
        self.main = Server(self.authority, "tcf-east", "127.0.0.1", int(self.main.url.rsplit(":", 1)[1]))
        start = time.monotonic()
        for name in ("east-1", "east-2"):
            self.cluster.nodes[name].start()
        for name in ("east-1", "east-2"):
            node = self.cluster.nodes[name]
            until("%s is a standby" % name, lambda n=node: n.state() == "STANDBY")
            say("%s is a standby of west-1 again (%.0f ms after its start)"
                % (name, (time.monotonic() - start) * 1000))
        self.cluster.settled(k=2)
        expect("the east has what was written meanwhile", self.cluster.east_1.get("app/after") == "the west goes on")
        say("all three nodes hold the same history; the sync set has grown back to k=2")
        show(self.cluster.west_1.cli("status").stdout)
        show(self.cluster.west_1.cli("setaside", "list").stdout)

    def run(self):
        self.found()
        self.configure()
        self.switch_over()
        self.burn()
        self.come_back()
        title("Timeline")
        for ms, text in TIMELINE:
            print("%9.0f ms  %s" % (ms, text))

    def stay(self):
        west = self.cluster.west_1
        print("\nThe cluster runs. Try, in another terminal:\n")
        for words in ("status", "explain connector/pam --if-promoted east", "promote east --dry-run",
                      "config history connector/pam"):
            print("  %s %s --data-dir %s" % (BUILD / "baton", words, west.folder))
        print("\nCtrl-C ends it and removes %s" % self.folder, flush=True)
        signal.pause()

    def close(self):
        self.cluster.close()
        for server in (self.main, self.alternate):
            try:
                server.stop()
            except OSError:
                pass


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-demo-"))
    demo = Demo(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo.run()
        if os.environ.get("DEMO_EXIT") != "1" and sys.stdout.isatty():
            demo.stay()
        return 0
    except KeyboardInterrupt:
        print("\nending")
        return 0
    except Failed as problem:
        logs(demo.cluster)
        print("\ndemo: %s" % problem, file=sys.stderr)
        return 1
    finally:
        demo.close()
        if os.environ.get("BATON_KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
