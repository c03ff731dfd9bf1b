"""local.tls_install: the node's certificate and key in the data directory of a server anywhere."""
import stat
import subprocess

import pytest

from pg import error_of, one

PEM = "-----BEGIN %s-----\nMIIB%s/+=\n-----END %s-----\n"


def pem(kind, text):
    return PEM % (kind, text, kind)


CA, CERTIFICATE, KEY = pem("CERTIFICATE", "ca"), pem("CERTIFICATE", "a") + pem("CERTIFICATE", "ca"), pem("PRIVATE KEY", "k")


def files(node):
    return {path.name: path.read_text() for path in (node.server.path / "baton_tls").iterdir()}


@pytest.fixture
def node(make):
    node = make("east-1")
    yield node
    subprocess.run(["rm", "-rf", node.server.path / "baton_tls"], check=True)


def test_the_files_are_there_for_the_server_alone(node):
    assert node.value("tls_install", CA, CERTIFICATE, KEY) is True
    assert files(node) == {"ca.crt": CA, "server.crt": CERTIFICATE, "server.key": KEY}
    folder = node.server.path / "baton_tls"
    owner = (node.server.path / "PG_VERSION").stat().st_uid
    for path in (folder, *folder.iterdir()):
        about = path.stat()
        assert stat.S_IMODE(about.st_mode) & 0o077 == 0 and about.st_uid == owner


def test_only_what_differs_is_written(node):
    node.value("tls_install", CA, CERTIFICATE, KEY)
    before = {path.name: path.stat().st_ino for path in (node.server.path / "baton_tls").iterdir()}
    assert node.value("tls_install", CA, CERTIFICATE, KEY) is False
    renewed = pem("CERTIFICATE", "b") + pem("CERTIFICATE", "ca")
    assert node.value("tls_install", CA, renewed, KEY) is True
    after = {path.name: path.stat().st_ino for path in (node.server.path / "baton_tls").iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"server.crt"}
    assert files(node)["server.crt"] == renewed


@pytest.mark.parametrize("text", [None, "", "no PEM\n", KEY + "\\.\n", KEY.replace("MIIB", "$(id)"), KEY + "x" * 65536,
                                  "-----BEGIN X-----'; select 1\n"])
def test_nothing_but_pem_is_written(node, text):
    assert error_of(node.run, "tls_install", CA, CERTIFICATE, text)[:2] == ("22023", "pem")
    assert not (node.server.path / "baton_tls" / "server.key").exists()


def test_the_key_stays_in_no_session(node):
    node.value("tls_install", CA, CERTIFICATE, KEY)
    assert one(node.control, "select current_setting('baton.pem', true)") in (None, "")
