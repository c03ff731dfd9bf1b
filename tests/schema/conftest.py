"""At most three servers for the whole run; every test gets empty databases on them."""
import pytest

import pg


@pytest.fixture(scope="session")
def servers():
    with pg.Servers() as running:
        yield running


class Trio:
    """Three servers, each started when it is asked for."""

    def __init__(self, servers):
        self.servers = servers
        self.started = {}

    def __getitem__(self, which):
        assert which < 3
        if which not in self.started:
            self.started[which] = self.servers.start()
        return self.started[which]


@pytest.fixture(scope="session")
def trio(servers):
    return Trio(servers)


@pytest.fixture
def make(trio):
    """make("east-1"): a node in a new database on the first server; which=1, 2 for the others."""
    nodes = []

    def build(name, which=0, **more):
        nodes.append(trio[which].node(name, **more))
        return nodes[-1]

    yield build
    for server in trio.started.values():
        server.sync([])
    for node in nodes:
        node.own("select local.waiters_cancel()")
        node.detach_all()
    for node in nodes:
        node.close()


@pytest.fixture
def primary(make):
    node = make("east-1")
    node.open(1)
    return node
