"""A short pass of the fault matrix (docs/faults.md): one round of each row of processes, promotions and load; those of the
network and of the arbiter are in test_matrix_network.py."""
import os

import pytest

from arbiters import ETCD
from cluster import logs
from matrix import World
from network import why_not
from rows import ROWS

NETWORK = (4, 5, 6, 7)
SEED = int(os.environ.get("TORTURE_SEED", "1"))

pytestmark = pytest.mark.skipif(ETCD is None, reason="etcd is not installed: apt-get install etcd-server")


@pytest.fixture(scope="module")
def world(folder):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    world = World(folder)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def show(world, request):
    yield
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed:
        logs(world.cluster)
        world.heal()


@pytest.mark.parametrize("row", [row for row in ROWS if row.number not in NETWORK], ids=lambda row: row.name)
def test_a_round(world, row):
    print(world.round(row, SEED))
