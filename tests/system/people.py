"""People who use the API: no certificate, but a password, a bearer token or a cookie."""
import http.client
import json
import ssl

from cluster import PASSWORD, PORT, until


class Person:
    """Somebody with a browser or a program, at 'source' when the address is to be another one."""

    def __init__(self, node, token=None, cookie=None, source=None):
        self.node = node
        self.token = token
        self.cookie = cookie
        self.source = source

    def ask(self, method, path, body=None, headers=None):
        context = ssl.create_default_context(cafile=str(self.node.folder / "ca.crt"))
        connection = http.client.HTTPSConnection(self.node.address, PORT, timeout=60, context=context,
                                                 source_address=self.source and (self.source, 0))
        headers = dict(headers or {})
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        if self.cookie:
            headers["Cookie"] = self.cookie
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        reply.text = reply.read().decode()
        reply.json = json.loads(reply.text) if "json" in reply.getheader("Content-Type", "") else None
        connection.close()
        return reply


def log_in(node, user="admin", password=PASSWORD, source=None):
    reply = Person(node, source=source).ask("POST", "/v1/login", {"user": user, "password": password})
    assert reply.status == 200, reply.text
    return Person(node, reply.json["token"], source=source)


def role(node, name, given, password="a-good-password"):
    """A person with that role, logged in."""
    reply = node.api("PUT", "/v1/users/" + name, {"password": password, "role": given})
    assert reply.status == 200, reply.body
    until("%s is known" % name, lambda: name in str(node.api("GET", "/v1/users").json))  # a wrong try would count
    return log_in(node, name, password)
