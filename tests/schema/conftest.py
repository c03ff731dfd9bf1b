"""Three servers for the whole run; every test gets new databases on them."""
import pytest

import pg


@pytest.fixture(scope="session")
def servers():
    with pg.Servers() as running:
        yield running


@pytest.fixture(scope="session")
def trio(servers):
    return [servers.start() for _ in range(3)]


@pytest.fixture
def make(trio):
    """make("east-1"): a node in a new database on the first server; which=1, 2 for the others."""
    nodes = []

    def build(name, which=0, **more):
        nodes.append(trio[which].node(name, **more))
        return nodes[-1]

    yield build
    for server in trio:
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
