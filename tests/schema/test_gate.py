"""The database itself refuses; and each rule's check sees the fault that it is there for."""
import psycopg2
import pytest

import gate


@pytest.fixture(scope="module")
def staged(trio):
    nodes = []

    def make(name):
        nodes.append(trio[0].node(name))
        return nodes[-1]

    yield gate.stage(make)
    for node in nodes:
        node.close()


@pytest.mark.parametrize("check", gate.CHECKS, ids=lambda check: check.__name__)
def test_gate(staged, check):
    check(*staged)


@pytest.mark.parametrize("fault", gate.MUTANTS)
def test_planted_fault_is_seen(make, fault):
    check, change = gate.MUTANTS[fault]
    primary, standby = gate.stage(lambda name: make(name, change=change))
    with pytest.raises((AssertionError, psycopg2.Error)):
        check(primary, standby)
