"""`baton agent` beside an instance of a connector."""
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

from cluster import BUILD


class Agent:
    """Beside the instance `name` of connector pam, whose server has a `url` and an `authority`."""

    def __init__(self, folder, token, name, version, server, connector="pam", **environment):
        self.name = name
        self.log = folder / (name + ".agent.log")
        words = [] if environment else ["--connector-id", connector]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(BUILD / "baton"), "agent", *words, "--instance", name, "--version", version, "--listen", "127.0.0.1:0",
                 "--address", server.url.rpartition("/")[2], "--health", server.url + "/health",
                 "--ca", str(server.authority.folder / "ca.crt"), "--metadata", "region=eu"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "BATON_AGENT_TOKEN": token, **environment})

    def healthz(self):
        """A8: status and document of its /healthz."""
        address = re.search("healthz=(\\S+)", self.log.read_text()).group(1)
        try:
            with urllib.request.urlopen("http://%s/healthz" % address, timeout=10) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as problem:
            return problem.code, json.load(problem)

    def said(self, text):
        return text in self.log.read_text()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
