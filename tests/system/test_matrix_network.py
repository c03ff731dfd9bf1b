"""A short pass of the fault matrix (docs/faults.md): one round of each row of the network and of the arbiter."""
import pytest

from rows import ROWS
from test_matrix import NETWORK, SEED, pytestmark, show, world  # noqa: F401


@pytest.mark.parametrize("row", [row for row in ROWS if row.number in NETWORK], ids=lambda row: row.name)
def test_a_round(world, row):  # noqa: F811
    print(world.round(row, SEED))
