"""Who gets in, and what never gets out: certificates, tokens, people and secrets on every port."""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import socket
import ssl
import stat
import subprocess
import threading

import pytest

import certs
from cluster import PASSWORD, PG_PORT, PORT, Failed, until
from people import Person, log_in, role

MEMBER = "west-1"  # whose certificates are forged
GUEST = "south-1"  # a member that only these tests hold the key of


def node_subject(three, name, cluster_id=None):
    return "/O=%s/CN=%s" % (cluster_id or three.east_1.status()["cluster"]["id"], name)


@pytest.fixture(scope="module")
def made(folder):
    path = folder / "certificates"
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def ca(three):
    """The cluster's own CA, as a node that was taken over would use it."""
    return certs.Pair(three.east_1.folder / "ca.crt", three.east_1.folder / "ca.key")


@pytest.fixture(scope="module", autouse=True)
def aging(three):
    """What ends by itself is made first and looked at last: nobody waits a minute for it."""
    class Aging:
        pass

    aging = Aging()
    three.east_1.cli("config", "set", "session.max_ms", "60000")
    for node in three.nodes.values():
        until("sessions last a minute", lambda n=node: n.get("session.max_ms") == 60000)
    aging.person = log_in(three.east_1)
    aging.token = token(three.east_1, "--ttl", "1m")
    return aging


def token(node, *words, site="south"):
    made = json.loads(node.cli("token", "create", "--site", site, "--json", *words).stdout)
    return Token(made["token"])


class Token:
    """A join token, taken apart."""

    def __init__(self, text):
        self.text = text
        self.head, body = text.split(".", 1)
        self.body = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))

    def changed(self, **members):
        body = json.dumps({**self.body, **members}, separators=(",", ":")).encode()
        return Token(self.head + "." + base64.urlsafe_b64encode(body).rstrip(b"=").decode())


def join(node, token, name, csr, source, secret=None):
    """POST /v1/join as a new machine at 'source' would."""
    return Person(node, source=source).ask("POST", "/v1/join", {
        "token_id": token.body["id"], "secret": secret or token.body["secret"], "node": name, "csr": csr.read_text(),
        "address": "127.0.0.9:%d" % PORT, "pg": {"host": "127.0.0.9", "port": PG_PORT, "dbname": "baton"}})


def psql(node, statement, user, pair=None, ca=None, password=None, mode="verify-full"):
    """psql over TCP to the node's database, as somebody on another host."""
    where = {"host": node.address, "port": PG_PORT, "dbname": "baton", "user": user, "sslmode": mode,
             "sslrootcert": ca or node.folder / "ca.crt", "sslcert": pair.certificate if pair else "none",
             "sslkey": pair.key if pair else "none", "connect_timeout": 30}
    return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement,
                           " ".join("%s='%s'" % item for item in where.items())],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**node.cluster.env, **({"PGPASSWORD": password} if password else {})})


def own(node):
    return certs.Pair(node.folder / "node.crt", node.folder / "node.key")


def can(node):
    """It takes a write and says so soon."""
    reply = node.put("app/alive", {"by": node.name})
    assert reply.status == 200, reply.body


# ---- certificates

@pytest.fixture(scope="module", params=["other-ca", "self-signed", "expired", "not-yet", "no-client"])
def forged(request, three, made, ca):
    """A certificate of west-1 that is none."""
    subject = node_subject(three, MEMBER)
    kind = request.param
    if kind == "other-ca":
        other = certs.self_signed(made, "other", "/O=x/CN=%s CA" % three.name, ca=True)
        return certs.signed(made, kind, subject, other)
    if kind == "self-signed":
        return certs.self_signed(made, kind, subject)
    if kind == "expired":
        return certs.signed(made, kind, subject, ca, end="20240101000000Z")
    if kind == "not-yet":
        return certs.signed(made, kind, subject, ca, start="20980101000000Z")
    return certs.signed(made, kind, subject, ca, extensions="extendedKeyUsage=serverAuth\n")


def test_forged_certificates_open_no_port(three, forged):
    """HTTPS ends the handshake, before any request; PostgreSQL the session."""
    for node in three.nodes.values():
        with pytest.raises((OSError, http.client.HTTPException)):
            connection = http.client.HTTPSConnection(node.address, PORT, timeout=10,
                                                     context=forged.context(node.folder / "ca.crt"))
            connection.request("GET", "/v1/status")
            connection.getresponse()
        done = psql(node, "select 1", "baton_n_" + MEMBER, forged)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert re.search("SSL|certificate", done.stderr), done.stderr
        can(node)


def test_a_certificate_of_another_cluster_is_no_members(three, made, ca):
    """Even when the CA is the same: the certificate says which cluster it is for."""
    pair = certs.signed(made, "elsewhere", node_subject(three, MEMBER, "00000000-0000-4000-8000-000000000000"), ca)
    for path in ("/v1/status", "/metrics", "/v1/peer/state"):
        reply = three.east_1.api("GET", path, context=pair.context(three.east_1.folder / "ca.crt"))
        assert (reply.status, reply.json["code"]) == (403, "not_a_member"), path


def test_a_name_that_is_no_member_changes_nothing_and_has_no_role(three, made, ca):
    """Only a member can have signed it, so it may be one that joined a moment ago: it may look."""
    pair = certs.signed(made, "nobody", node_subject(three, "nobody-1"), ca)
    for node in three.nodes.values():
        context = pair.context(node.folder / "ca.crt")
        for method, path, body in (("PUT", "/v1/config/app/x", {"value": 1}), ("GET", "/v1/tokens", None),
                                   ("PUT", "/v1/local/log.level", {"value": "debug"}),
                                   ("POST", "/v1/promote", {"target": "west"})):
            assert node.api(method, path, body, context=context).json["code"] == "role_needed", path
        done = psql(node, "select 1", "baton_n_nobody-1", pair)
        assert done.returncode == 2 and "no pg_hba.conf entry" in done.stderr, done.stderr


def test_a_member_is_administrator_of_itself_alone(three):
    """Its certificate at another node: it may look and speak as a member, nothing else."""
    context = three.west_1.context()
    for method, path, body in (("PUT", "/v1/config/app/x", {"value": 1}), ("POST", "/v1/tokens", {"site": "west"}),
                               ("DELETE", "/v1/nodes/east-2", None), ("PUT", "/v1/users/x", {"role": "admin"}),
                               ("POST", "/v1/promote", {"target": "west"}), ("GET", "/v1/tokens", None)):
        reply = three.east_1.api(method, path, body, context=context)
        assert (reply.status, reply.json["code"]) == (403, "role_needed"), path


@pytest.mark.parametrize("user, why", [
    ("baton_n_west-1", None), ("baton_n_east-2", "certificate authentication failed"),
    ("baton", "no pg_hba.conf entry"), ("baton_owner", "no pg_hba.conf entry"), ("postgres", "no pg_hba.conf entry")])
def test_a_members_certificate_is_good_for_its_own_role(three, user, why):
    done = psql(three.east_1, "select count(*) > 0 from shared.log", user, own(three.west_1))
    if why is None:
        assert done.stdout == "t\n", done.stderr
    else:
        assert done.returncode == 2 and why in done.stderr, done.stderr


def test_a_members_role_reads_the_log_and_nothing_more(three):
    node = three.east_1
    for statement in ("select shared.set('app/x', '1')", "select * from local.node", "select * from shared.config",
                      "delete from shared.log", "insert into shared.log (key) values ('app/x')",
                      "select local.capture(99, 'west-1')", "select local.fence()", "create table shared.x ()",
                      "create temp table x ()", "select pg_read_file('postgresql.conf')", "alter system set fsync = off",
                      "alter role baton_owner login"):
        done = psql(node, statement, "baton_n_west-1", own(three.west_1))
        assert done.returncode == 1 and ("denied" in done.stderr or "must be" in done.stderr), \
            (statement, done.stdout, done.stderr)


def test_roles_of_members_need_their_certificate(three):
    done = psql(three.east_1, "select 1", "baton_n_west-1")
    assert done.returncode == 2 and "certificate" in done.stderr, done.stderr
    done = psql(three.east_1, "select 1", "baton_n_west-1", password="baton")
    assert done.returncode == 2 and "certificate" in done.stderr, done.stderr


PEER_POSTS = ["capture", "freeze", "thaw", "prepare", "attach", "follow", "deactivate", "order", "match", "write"]


def test_people_may_not_speak_as_members(three):
    """The peers' routes need a certificate: an administrator's session captures nothing."""
    node = three.east_2
    admin = log_in(node)
    cookie = Person(node, cookie="__Host-baton=" + admin.token)
    origin = {"Origin": "https://%s:%d" % (node.address, PORT)}
    epoch = node.sql("select promised, promised_holder from local.position()")
    body = {"epoch": "999/east-2"}
    for name in PEER_POSTS:
        path = "/v1/peer/" + name
        assert admin.ask("POST", path, body).json["code"] == "role_needed", path
        assert cookie.ask("POST", path, body, origin).json["code"] == "role_needed", path
        assert Person(node).ask("POST", path, body).json["code"] == "login_needed", path
        # a session beside a certificate is a person still
        mixed = node.api("POST", path, body, headers={"Authorization": "Bearer " + admin.token})
        assert mixed.json["code"] == "role_needed", path
    assert node.sql("select promised, promised_holder from local.position()") == epoch


# ---- tokens

def test_a_wrong_token_is_refused_whatever_is_wrong(three, made):
    """S40: Unknown, wrong secret, revoked: one answer, so that nobody learns which ids there are."""
    csr = certs.new_csr(made, "stranger", "/CN=stranger-1")
    revoked, good = token(three.east_1), token(three.east_1)
    three.east_1.cli("token", "revoke", revoked.body["id"])
    node = three.east_2
    until("it is revoked here too", lambda: revoked.body["id"] not in str(node.api("GET", "/v1/tokens").json))
    answers = [join(node, revoked, "stranger-1", csr, "127.0.0.51"),
               join(node, good, "stranger-1", csr, "127.0.0.51", secret="0" * 64),
               join(node, good.changed(id="0" * 16), "stranger-1", csr, "127.0.0.51")]
    assert {(answer.status, answer.json["code"]) for answer in answers} == {(401, "token_invalid")}
    assert len({answer.text for answer in answers}) == 1
    assert node.get("node/stranger-1") is None
    # and a guesser is slowed down, while another address is not
    guesses = [join(node, good, "stranger-1", csr, "127.0.0.51", secret="1" * 64).status for _ in range(6)]
    assert 429 in guesses
    assert join(node, good, "stranger-1", csr, "127.0.0.52", secret="1" * 64).status == 401


class Impostor:
    """Shows a chain that it may have copied, with a leaf of its own; keeps what it is sent after the handshake."""

    def __init__(self, pair, address, port=0, postgres=False):
        self.received = []
        self.asked = 0
        self.handshakes = 0
        self.postgres = postgres  # asked for TLS in PostgreSQL's way first
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self.socket = socket.create_server((address, port))
        self.address = "%s:%d" % (address, self.socket.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, args=(context,), daemon=True)
        self.thread.start()

    def _serve(self, context):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            self.asked += 1
            try:
                plain.settimeout(10)
                if self.postgres:
                    assert plain.recv(8) == b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
                    plain.sendall(b"S")
                with context.wrap_socket(plain, server_side=True) as stream:
                    self.handshakes += 1
                    self.received.append(stream.recv(65536))
            except OSError:
                pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(15)


@pytest.mark.parametrize("kind", ["other cluster", "copied chain"])
def test_a_join_tells_nothing_to_an_impostor(three, made, folder, kind):
    """The pin in the token decides who is told the secret: another cluster's node, or one that shows our
    public CA beside a certificate that the CA did not sign, is sent no byte."""
    name = kind.replace(" ", "-")
    pair = certs.self_signed(made, name, "/CN=127.0.0.1", ca=kind == "other cluster")
    if kind == "copied chain":
        pair.certificate.write_text(pair.certificate.read_text() + (three.east_1.folder / "ca.crt").read_text())
    impostor = Impostor(pair, "127.0.0.1")
    try:
        real = token(three.east_1)
        node = three._node("trusting-1", "south")
        done = node.cli("join", real.changed(addresses=[impostor.address]).text, "--node", node.name,
                        *three._where(node), check=False)
        del three.nodes["trusting-1"]
    finally:
        impostor.close()
    assert done.returncode != 0 and impostor.handshakes + len(impostor.received) > 0
    assert b"".join(impostor.received) == b""
    assert "mend:" in done.stderr and real.body["secret"] not in done.stderr, done.stderr
    assert not node.folder.exists()
    assert real.body["id"] in [entry["id"] for entry in three.east_1.api("GET", "/v1/tokens").json["tokens"]
                               if entry["state"] == "open"]


@pytest.mark.parametrize("kind", ["other CA", "another member"])
def test_a_server_at_a_members_address_is_no_member(three, made, kind):
    """The primary is stopped, and somebody answers on both its ports: it is told nothing, and nobody believes it."""
    primary = three.primary()
    rest = [node for node in three.nodes.values() if node is not primary]
    pair = own(rest[0])
    if kind == "other CA":
        other = certs.self_signed(made, "at-its-address", "/O=x/CN=%s CA" % three.name, ca=True)
        pair = certs.signed(made, "at-its-address.node", node_subject(three, primary.name), other,
                            extensions=certs.USAGE + "subjectAltName=IP:%s\n" % primary.address)
    primary.stop()
    impostors = [Impostor(pair, primary.address, PORT), Impostor(pair, primary.address, PG_PORT, postgres=True)]
    try:
        for impostor in impostors:
            until("it is asked", lambda i=impostor: i.asked > 2)
        for node in rest:
            until("%s sees what it is" % node.name, lambda n=node: "certificate" in next(
                entry["reason"] for entry in n.status()["nodes"] if entry["name"] == primary.name))
    finally:
        for impostor in impostors:
            impostor.close()
        primary.start()
    assert [b"".join(impostor.received) for impostor in impostors] == [b"", b""]
    three.settled(k=1)


@pytest.fixture(scope="module")
def guest(three, made):
    """A member whose key only we hold. Its request asks for more than it gets."""
    key = certs.new_key(made, "guest")
    certs.openssl(made, "req", "-new", "-key", key, "-subj", "/O=root/CN=" + GUEST, "-addext",
                  "subjectAltName=DNS:east-1,IP:127.0.0.11", "-addext", "basicConstraints=critical,CA:TRUE",
                  "-out", "guest.csr")
    used = token(three.east_1)
    until("the token is known", lambda: used.body["id"] in str(three.east_1.api("GET", "/v1/tokens").json))
    another = certs.new_csr(made, "another", "/CN=east-1")
    refused = join(three.east_1, used, GUEST, another, "127.0.0.53")
    assert (refused.status, refused.json["code"]) == (400, "certificate"), refused.text
    reply = join(three.east_1, used, GUEST, made / "guest.csr", "127.0.0.53")
    assert reply.status == 201, reply.text
    (made / "guest.crt").write_text(reply.json["certificate"])
    pair = certs.Pair(made / "guest.crt", key)
    pair.token = used
    return pair


def test_a_token_is_good_once(three, made, guest):
    """S23."""
    for node in three.nodes.values():
        until("it is used up", lambda n=node: [entry["used_by"] for entry in n.api("GET", "/v1/tokens").json["tokens"]
                                               if entry["id"] == guest.token.body["id"]] == [GUEST])
        again = join(node, guest.token, "south-2", made / "guest.csr", "127.0.0.54")
        assert (again.status, again.json["code"]) == (401, "token_invalid")


def test_two_at_once_use_a_token_once(three, made):
    """Both pass the check; the database lets one of the two rows in."""
    racing = token(three.east_1)
    node = three.east_1
    until("the token is known", lambda: racing.body["id"] in str(node.api("GET", "/v1/tokens").json))
    answers = []

    def run(name, csr):
        answers.append(join(node, racing, name, csr, "127.0.0.55").status)

    threads = [threading.Thread(target=run, args=(name, certs.new_csr(made, name, "/CN=" + name)))
               for name in ("racer-1", "racer-2", "racer-3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers)[0] == 201 and sorted(answers)[1] > 400, answers
    members = [entry["name"] for entry in node.api("GET", "/v1/nodes").json["nodes"] if "racer" in entry["name"]]
    assert len(members) == 1
    node.cli("node", "remove", members[0], "--yes")


def test_the_ca_signs_the_name_that_was_let_in(made, ca, guest):
    """S43: Not the subject, the names or the powers that the request asked for."""
    text = certs.openssl(made, "x509", "-in", guest.certificate, "-noout", "-text")
    assert re.search(r"Subject:.*CN = %s[,\n]" % GUEST, text)
    assert "east-1" not in text and "127.0.0.11" not in text and "CA:TRUE" not in text
    assert "CA:FALSE" in text and "TLS Web Client Authentication" in text
    certs.openssl(made, "verify", "-CAfile", ca.certificate, guest.certificate)


def test_a_removed_members_certificate_is_worth_nothing(three, guest):
    """Open sessions end, new ones are refused, on both ports of every node."""
    nodes = list(three.nodes.values())
    streams, sessions = [], []
    with contextlib.ExitStack() as stack:
        for node in nodes:
            context = guest.context(node.folder / "ca.crt")
            until("%s lets it in" % node.name,
                  lambda n=node, c=context: n.api("GET", "/v1/peer/state", context=c).status == 200)
            until("it has a role on %s" % node.name,
                  lambda n=node: psql(n, "select 1", "baton_n_" + GUEST, guest).stdout == "1\n")
            stream = http.client.HTTPSConnection(node.address, PORT, timeout=30, context=context)
            stack.callback(stream.close)
            stream.request("GET", "/v1/events")
            streams.append(stream.getresponse())
            session = subprocess.Popen(
                ["psql", "-XqAt", "-c", "select pg_sleep(60)",
                 "host=%s port=%d dbname=baton user=baton_n_%s sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s"
                 % (node.address, PG_PORT, GUEST, node.folder / "ca.crt", guest.certificate, guest.key)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=three.env)
            stack.callback(session.stderr.close)
            stack.callback(session.wait)
            stack.callback(session.kill)
            sessions.append(session)
            until("it is connected", lambda n=node: n.sql(
                "select count(*) from pg_stat_activity where usename = 'baton_n_%s'" % GUEST) == [["1"]])
        three.east_2.cli("node", "remove", GUEST, "--yes", "--reason", "its key was copied")
        for node, stream, session in zip(nodes, streams, sessions):
            context = guest.context(node.folder / "ca.crt")
            until("%s refuses it" % node.name,
                  lambda n=node, c=context: n.api("GET", "/v1/peer/state", context=c).json["code"] == "not_a_member")
            session.wait(60)
            assert session.returncode != 0

            def refused(node=node):
                done = psql(node, "select 1", "baton_n_" + GUEST, guest)
                assert done.returncode == 2, done.stdout
                return "no pg_hba.conf entry" in done.stderr
            until("PostgreSQL does not know it either", refused)
            while stream.read(4096):
                pass
    assert GUEST not in [entry["name"] for entry in three.west_1.api("GET", "/v1/nodes").json["nodes"]
                         if not entry.get("removed")]
    three.settled(k=1)


# ---- noise

HELLO = bytes.fromhex("16030100c4010000c00303")  # a record that promises more than comes


def noise(port):
    """First bytes of connections that go nowhere; None sends nothing at all."""
    chance = random.Random(port)
    yield None
    yield HELLO
    yield HELLO + chance.randbytes(100)
    yield chance.randbytes(5000)
    yield b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"\x16\x03\x01\x40\x00" + b"\x01" * 16384
    yield b"\x00\x00\x00\x08\x04\xd2\x16\x2f" + chance.randbytes(300)  # PostgreSQL's SSLRequest, then no TLS
    yield b"\x7f\xff\xff\xff\x00\x03\x00\x00"
    yield b"\x00\x00\x00\x10\x04\xd2\x16\x2e" + b"\x00" * 8            # a cancel request


def test_noise_and_half_open_connections_on_every_port_harm_nobody(three):
    """A hundred of them stand on each port while people and members go on."""
    before = {node.name: (node.state(), node.postmaster(), node.daemon()) for node in three.nodes.values()}
    with contextlib.ExitStack() as stack:
        for node in three.nodes.values():
            for port in (PORT, PG_PORT):
                for content in list(noise(port)) * 11:
                    client = stack.enter_context(socket.create_connection((node.address, port), 10))
                    if content is not None:
                        with contextlib.suppress(OSError):
                            client.sendall(content)
        for node in three.nodes.values():
            can(node)
            assert Person(node).ask("GET", "/healthz").status == 200
            peer = three.west_1 if node is not three.west_1 else three.east_2
            done = psql(node, "select 1", "baton_n_" + peer.name, own(peer))
            assert done.stdout == "1\n", done.stderr
        three.settled(k=1)
    for node in three.nodes.values():
        assert (node.state(), node.postmaster(), node.daemon()) == before[node.name]
        until("nothing is wrong with it", lambda n=node: [check for check in n.api("GET", "/v1/doctor").json["checks"]
                                                          if check["state"] == "fail"] == [])


def listening(pid):
    """TCP addresses that a process listens on, as the kernel says."""
    inodes = set()
    for link in pathlib.Path("/proc/%d/fd" % pid).iterdir():
        with contextlib.suppress(OSError):
            inodes.update(re.findall(r"socket:\[([0-9]+)\]", os.readlink(link)))
    found = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and words[9] in inodes:
            address, port = words[1].split(":")
            found.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    return found


def test_nothing_listens_but_tls(three):
    """S9."""
    for node in three.nodes.values():
        assert listening(node.daemon()) == {(node.address, PORT)}
        assert listening(node.postmaster()) == {(node.address, PG_PORT)}
        with socket.create_connection((node.address, PORT), 10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 400 ") and b"speaks HTTPS" in answer, answer
        for user in ("baton", "baton_owner", "baton_n_west-1", "postgres"):
            done = psql(node, "select 1", user, mode="disable")
            assert done.returncode == 2 and "no encryption" in done.stderr, done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_tls_is_refused(three, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    for port in (PORT, PG_PORT):
        with socket.create_connection((three.east_1.address, port), 10) as client:
            if port == PG_PORT:
                client.sendall(bytes.fromhex("0000000804d2162f"))
                assert client.recv(1) == b"S"
            with pytest.raises(OSError, match="(?i)protocol|alert|handshake|version|EOF|reset"):
                context.wrap_socket(client).close()


# ---- people

def test_a_viewer_looks_and_an_operator_promotes_no_people(three):
    node = three.west_1
    viewer, operator = role(node, "vera", "viewer"), role(node, "otto", "operator")
    for method, path, body in (("PUT", "/v1/config/app/x", {"value": 1}), ("DELETE", "/v1/config/app/x", None),
                               ("POST", "/v1/config", {"changes": [{"key": "app/x", "value": 1}]}),
                               ("POST", "/v1/rollback", {"revision": 1}), ("POST", "/v1/promote", {"target": "west"}),
                               ("POST", "/v1/promote", {"target": "west", "dry_run": True}),
                               ("PUT", "/v1/local/log.level", {"value": "debug"}), ("DELETE", "/v1/nodes/east-2", None),
                               ("POST", "/v1/tokens", {"site": "west"}), ("GET", "/v1/tokens", None)):
        reply = viewer.ask(method, path, body)
        assert (reply.status, reply.json["code"]) == (403, "role_needed"), path
    for method, path, body in (("PUT", "/v1/users/otto", {"role": "admin"}), ("DELETE", "/v1/nodes/east-2", None),
                               ("PUT", "/v1/users/vera", {"password": "a-better-password"})):
        assert operator.ask(method, path, body).json["code"] == "role_needed", path
    assert three.primary().name == "east-1"
    for name in ("vera", "otto"):
        node.cli("user", "delete", name, "--yes")


def test_a_guessed_account_is_closed_to_the_right_password_too(three):
    """Otherwise a throttled guess would tell. It opens again by itself."""
    node = three.east_2
    node.cli("config", "set", "login.delay_ms", "4000")  # longer than two tries take
    until("it waits longer", lambda: node.get("login.delay_ms") == 4000)
    role(node, "gina", "viewer", "the-right-password")
    near, far = Person(node, source="127.0.0.61"), Person(node, source="127.0.0.62")

    def attempt(person, password, user="gina"):
        return person.ask("POST", "/v1/login", {"user": user, "password": password})

    answers = [attempt(near, "wrong-password") for _ in range(6)]
    assert [answer.status for answer in answers][:2] == [401, 401] and answers[-1].status == 429
    told = attempt(far, "the-right-password")
    assert (told.status, told.json["code"]) == (429, "login_throttled")
    assert int(told.getheader("Retry-After")) >= 1
    assert attempt(far, "still-wrong", "another").status == 401, "one account's guesser closes no other"
    until("it opens again", lambda: attempt(far, "the-right-password").status == 200)
    node.cli("user", "delete", "gina", "--yes")
    node.cli("config", "delete", "login.delay_ms")


def test_sql_people_read_or_write_as_their_group_says(three):
    """Over TLS with a password; on the primary and, for writes, nowhere else."""
    primary, standby = three.primary(), three.west_1
    for node in (primary, standby):
        for name, group in (("rita", "baton_reader"), ("wim", "baton_writer"), ("ned", "nobody")):
            node.sql("create role %s login password 'sql-password'" % name)
            if group != "nobody":
                node.sql("grant %s to %s" % (group, name))
    try:
        def ask(node, user, statement):
            return psql(node, statement, user, password="sql-password")

        assert ask(primary, "wim", "select shared.set('app/sql', '1', 'by hand') > 0").stdout == "t\n"
        until("it is there", lambda: ask(standby, "rita", "select value from shared.config where key = 'app/sql'")
              .stdout == "1\n")
        for node, user, statement in (
                (primary, "rita", "select shared.set('app/sql', '2')"), (primary, "rita", "select shared.unset('app/sql')"),
                (primary, "rita", "update shared.config set value = '2'"), (primary, "rita", "delete from shared.log"),
                (primary, "rita", "select * from local.setting"), (primary, "rita", "create table shared.x ()"),
                (primary, "rita", "create temp table x ()"),
                (primary, "wim", "insert into shared.log (key) values ('app/x')"),
                (primary, "wim", "update shared.config set value = '2'"), (primary, "wim", "truncate shared.log"),
                (primary, "wim", "select shared.write('[]')"), (primary, "wim", "select local.thaw(1, 'east-1')"),
                (primary, "wim", "select shared.set('user/wim', '{\"role\": \"admin\"}')"),
                (primary, "wim", "select shared.set('node/x', '{}')"), (primary, "wim", "select shared.set('epoch', '{}')"),
                (standby, "wim", "select shared.set('app/sql', '2')"), (primary, "ned", "select 1"),
                (primary, "wim", "set session_replication_role = replica"),
                (primary, "wim", "set role baton"), (primary, "rita", "set role baton_owner")):
            done = ask(node, user, statement)
            assert done.returncode != 0, (user, statement, done.stdout)
        assert primary.get("app/sql") == 1
        log = primary.api("GET", "/v1/history?key=app/sql").json["rows"][-1]
        assert (log["author"], log["reason"]) == ("wim", "by hand")
    finally:
        for node in (primary, standby):
            for name in ("rita", "wim", "ned"):
                node.sql("drop role if exists " + name)


# ---- secrets

SECRET = "planted-Secret-73"


def secrets_of(three, token, person):
    """Texts that must stay where they are: the body of each key, and what people and machines prove themselves by."""
    found = {"password": PASSWORD, "another password": SECRET, "token": token.body["secret"], "session": person.token,
             "sealed": SEALED, "sealed, as bytes": SEALED_BYTES.decode("latin-1"),
             "sealed, encoded": base64.b64encode(SEALED.encode())[:-4].decode()}
    for node in three.nodes.values():
        for name in ("ca.key", "node.key"):
            lines = (node.folder / name).read_text().splitlines()
            found["%s of %s" % (name, node.name)] = lines[2]
        found["seal.key of " + node.name] = (node.folder / "seal.key").read_text()
    return found


SEALED = "sealed-Secret-51-zu-langem-Ende"
SEALED_BYTES = b"\x00\xffsealed-bytes-52\xfe"


def everybody_has_the_data_key(three):
    for node in three.nodes.values():
        until("%s sees that all have the data key" % node.name, lambda n=node: all(
            member["state"] == "has" for member in n.api("GET", "/v1/secrets").json["data_key"]["members"]) and
              n.api("GET", "/v1/secrets").json["data_key"]["here"])


PROGRAM = """#!/bin/sh
[ -n "$BATON_SECRET_FD_PAM_MAIN" ] || exit 0 # it gives up
value=$(cat <&$BATON_SECRET_FD_PAM_MAIN)
[ "$(printf %%s "$value" | sha256sum | cut -c1-64)" = %s ] || exit 3
env; tr '\\0' ' ' </proc/$$/cmdline; echo; echo "the value is $value"
"""


def give_to_a_program(three):
    """The primary alone gives a program of driver exec what its connector names, and says whom; nothing that the program
    prints of it is kept."""
    east = three.east_1
    script = three.folder.parent / "given.sh"
    script.write_text(PROGRAM % hashlib.sha256(SEALED.encode()).hexdigest())
    script.chmod(0o755)
    reply = east.put("connector/given", {"main": {"url": "https://127.0.0.1:1"}, "activation": [
        {"driver": "exec", "command": [str(script)], "secrets": ["secret/pam-main"], "timeout_ms": 10000}]})
    assert reply.status == 200, reply.body
    until("it has run", lambda: [one["activation"]["text"] for one in east.api("GET", "/v1/connectors/given").json["nodes"]
                                 if one["node"] == "east-1"] == ["exec: exit code 0: the value is (secret)"])
    events = {node.name: [json.loads(row[0]) for row in node.sql(
        "select doc from local.event where kind = 'secret_given'")] for node in three.nodes.values()}
    assert [(event["connector"], event["program"], event["secrets"], event["epoch"].split("/")[1])
            for event in events.pop("east-1")] == [("given", str(script), ["secret/pam-main"], "east-1")]
    assert not any(events.values()), events
    assert "given" in [row["used_by"] for row in east.api("GET", "/v1/secrets").json["secrets"] if row["name"] == "pam-main"][0]
    east.cli("config", "delete", "connector/given")


def plant_sealed(three):
    """Secrets for connectors, by every way that takes one; what is refused must not tell them either. Returns the
    ids of the data keys, the first and the one after a rotation."""
    east, west = three.east_1, three.west_1
    west.cli("secret", "set", "pam-main", "--stdin", stdin=SEALED + "\n")
    everybody_has_the_data_key(three)
    (three.folder.parent / "bytes").write_bytes(SEALED_BYTES)
    three.east_2.cli("secret", "set", "pam-bytes", "--file", three.folder.parent / "bytes")
    for words in (("secret", "set", "pam-main", SEALED), ("config", "set", "secret/pam-x", SEALED),
                  ("local", "set", "secret/pam-x", SEALED)):
        done = east.cli(*words, check=False)
        assert done.returncode == 2 and SEALED not in done.stdout + done.stderr, words
    assert "baton secret set pam-x" in east.cli("config", "set", "secret/pam-x", "1", check=False).stderr
    for path, body in (("pam-x", {"value": SEALED, "valu": SEALED}), ("Pam", {"value": SEALED}),
                       ("pam-x", {"value": SEALED, "base64url": "AA"}), ("pam-x", {"base64url": SEALED + "!"})):
        reply = west.api("PUT", "/v1/secrets/" + path, body)
        assert reply.status == 400 and SEALED not in reply.body.decode(), reply.body
    assert east.put("secret/pam-x", SEALED).json["code"] == "key_secret"
    with pytest.raises(Failed, match="is a secret"):
        east.sql("select shared.set('secret/pam-x', '\"plain\"')")
    reply = east.put("connector/sealed", {"main": {"url": "https://127.0.0.1:1", "credential": "secret/pam-main"},
                                          "alternate": {"url": "https://127.0.0.1:2", "credential": "secret/none"}})
    assert reply.status == 200, reply.body
    until("the primary's connector names its secret", lambda: [one["credential"] for one in east.api(
        "GET", "/v1/connectors/sealed").json["nodes"] if one["node"] == "east-1"] ==
          [{"name": "secret/pam-main", "state": "here"}])
    assert "is missing" not in east.cli("explain", "connector/sealed").stdout
    listed = east.api("GET", "/v1/secrets").json
    assert [row["used_by"] for row in listed["secrets"] if row["name"] == "pam-main"] == [["sealed"]]
    assert listed["missing"] == [{"name": "none", "used_by": ["sealed"]}]
    assert east.api("DELETE", "/v1/secrets/pam-main").json["code"] == "secret_used"
    east.cli("config", "delete", "connector/sealed")
    give_to_a_program(three)
    old = east.api("GET", "/v1/secrets").json["data_key"]["id"]
    rotated = west.api("POST", "/v1/datakey/rotate", {"reason": "try"}).json
    assert rotated["count"] == 2 and rotated["key_id"] != old
    everybody_has_the_data_key(three)
    three.settled(k=1)
    for node in three.nodes.values():
        listed = node.api("GET", "/v1/secrets").json
        assert [(row["name"], row["state"], row["key_id"]) for row in listed["secrets"]] \
            == [("pam-bytes", "here", rotated["key_id"]), ("pam-main", "here", rotated["key_id"])]
        assert node.get("secret/pam-main") == {"sealed": rotated["key_id"]}
        assert "(sealed, key %s)" % rotated["key_id"] in node.cli("explain", "secret/pam-main").stdout
        assert "(sealed, key %s)" % rotated["key_id"] in node.cli("config", "list").stdout
    return old, rotated["key_id"]


def streamed(node, after):
    """What /v1/events has told since revision 'after', to the last row that there is."""
    connection = http.client.HTTPSConnection(node.address, PORT, timeout=60, context=node.context())
    connection.request("GET", "/v1/events", headers={"Last-Event-ID": str(after)})
    reply, text = connection.getresponse(), b""
    last = b"\nid: %d-" % node.head()[0]
    while last not in text or not text.endswith(b"\n\n"):
        text += reply.read1(65536)
    connection.close()
    return text.decode()


BACKUP_PASSWORD = "planted-backup-password"


def test_secrets_stay_where_they_belong(three, folder):
    """S14, S70."""
    node = three.east_1
    start = node.head()[0]
    for each in three.nodes.values():
        each.cli("local", "set", "log.level", "debug")
    # planted by every way that takes one, right and wrong
    (folder / "planted").write_text(SECRET + "\n")
    node.cli("user", "set", "paula", "--role", "operator", "--password-file", folder / "planted")
    person = log_in(node, "paula", SECRET)
    fresh = token(node)
    with contextlib.suppress(Failed):
        three.west_1.cli("user", "set", "Not A Name", "--role", "viewer", "--password-file", folder / "planted")
    for user, password in (("paula", SECRET + "x"), ("nobody", SECRET)):
        Person(three.east_2, source="127.0.0.63").ask("POST", "/v1/login", {"user": user, "password": password})
    person.ask("PUT", "/v1/users/paula", {"password": SECRET, "role": "admin"})
    person.ask("PUT", "/v1/users/paula", {"passwort": SECRET})
    csr = certs.new_csr(folder, "x", "/CN=x")
    join(node, fresh, "Not-A-Name", csr, "127.0.0.63")
    join(node, fresh, "east-2", csr, "127.0.0.63")
    person = log_in(node, "paula", SECRET)
    three.settled(k=1)
    data_keys = plant_sealed(three)
    secrets = secrets_of(three, fresh, person)
    hashes = [row[0] for row in node.sql("select value ->> 'hash' from shared.config where key ~ '^(user|token)/'")]
    assert len(hashes) >= 3

    told = {}
    (folder / "backup.password").write_text(BACKUP_PASSWORD + "\n")
    told["what backup says"] = three.west_1.cli("backup", folder / "kept", "--password-file", folder / "backup.password").stdout
    told["a backup"] = (folder / "kept").read_text()
    assert "holds" in told["what backup says"] and "secret/pam-bytes" in told["a backup"]
    secrets["password of the backup"] = BACKUP_PASSWORD
    backup_key = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    told["/v1/backup"] = three.east_2.api("POST", "/v1/backup", {"key": backup_key}).body.decode()
    assert "secret/pam-bytes" in told["/v1/backup"]
    assert three.east_2.api("POST", "/v1/backup", {"key": backup_key[:-1] + "!"}).status == 400
    assert person.ask("POST", "/v1/backup", {"key": backup_key}).status == 403  # an operator
    secrets["key of a backup"] = backup_key
    for each in three.nodes.values():
        for path in ("/v1/status", "/v1/config", "/v1/config?prefix=user/", "/v1/config?prefix=token/", "/v1/users",
                     "/v1/history?after=0&limit=1000", "/v1/nodes", "/v1/tokens", "/v1/doctor", "/metrics", "/v1/local",
                     "/v1/promotions", "/v1/secrets", "/v1/config?prefix=secret/", "/v1/config/secret/pam-main",
                     "/v1/explain/secret/pam-main", "/v1/setaside", "/v1/peer/log?after=0&limit=500",
                     "/v1/peer/snapshot"):
            told[each.name + path] = each.api("GET", path).body.decode()
        told[each.name + " export"] = each.cli("config", "export").stdout
        told[each.name + " history"] = each.cli("config", "history", "--json", "--limit", "1000").stdout
        told[each.name + " events"] = streamed(each, start)
        told[each.name + " log"] = each.log.read_text()
        for file in (each.folder / "pg/log").iterdir():
            told["%s %s" % (each.name, file.name)] = file.read_text(errors="replace")
        told[each.name + " node.json"] = (each.folder / "node.json").read_text()
        for process in [*each.pids("daemon"), each.postmaster()]:
            for what in ("cmdline", "environ"):
                told["%s %s of %d" % (each.name, what, process)] = \
                    pathlib.Path("/proc/%d/%s" % (process, what)).read_text(errors="replace")
    assert "paula" in told["east-1/v1/users"] and "user/paula" in told["east-2 events"]
    assert "login.failed" in told["east-2 log"]
    for where, text in told.items():
        for name, secret in secrets.items():
            assert secret not in text, "%s is told by %s" % (name, where)
        for secret in hashes if "/v1/peer/" not in where else ():
            assert secret not in text, "a hash is told by %s" % where
        if where.endswith(" events"):
            rows = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
            assert [row["value"] for row in rows if row.get("key") == "secret/pam-main"] \
                == [{"sealed": key} for key in data_keys], where

    for each in three.nodes.values():
        each.cli("local", "delete", "log.level")
        dump = subprocess.run(["runuser", "-u", three.run_as, "--"][:4 if three.run_as else 0] +
                              ["pg_dump", "-h", each.sql("show unix_socket_directories")[0][0], "-p", str(PG_PORT), "-U",
                               "baton_owner", "baton"], capture_output=True, text=True, cwd="/", env=three.env)
        assert dump.returncode == 0, dump.stderr
        for name, secret in secrets.items():
            assert secret not in dump.stdout, "%s is in the database of %s" % (name, each.name)
        for line in dump.stdout.splitlines():
            if any(secret in line for secret in hashes):
                assert re.search(r"\t(user|token)/", line), "a hash outside of its row: " + line[:80]

        # and in no file either, rows that were deleted and the write-ahead log included
        for file in each.folder.rglob("*"):
            if not file.is_file():
                continue
            content = file.read_bytes()
            for name, secret in secrets.items():
                allowed = (name.startswith(file.name) or
                           (file.name == "server.key" and name == "node.key of " + each.name))
                assert allowed or secret.encode() not in content, "%s is in %s" % (name, file)
    node.cli("user", "delete", "paula", "--yes")
    for name in ("pam-main", "pam-bytes"):
        node.cli("secret", "delete", name, "--yes")


def test_files_of_a_node_are_its_own(three):
    """Others may pass through to the socket at most; what they reach holds no secret."""
    for node in three.nodes.values():
        reached = []
        for path, folders, files in os.walk(node.folder):
            assert stat.S_IMODE(os.stat(path).st_mode) & 0o066 == 0, path
            if os.stat(path).st_mode & 0o011 == 0:
                folders.clear()
                continue
            reached += [name for name in files if os.stat(os.path.join(path, name)).st_mode & 0o077]
        assert set(reached) <= {"ca.crt", "node.crt", "server.crt", "node.json", "batond.pid"}, reached
        for name in ("ca.key", "node.key", "seal.key"):
            assert stat.S_IMODE((node.folder / name).stat().st_mode) == 0o400


# ---- what has ended meanwhile

def test_a_session_ends_by_itself(three, aging):
    """In use or not: session.max_ms after the login."""
    until("it has ended", lambda: aging.person.ask("GET", "/v1/status").status == 401, 75, 0.5)
    assert aging.person.ask("GET", "/v1/status").json["code"] == "session_expired"


def test_a_token_ends_by_itself(three, aging, made):
    def state():
        return [entry["state"] for entry in three.east_1.api("GET", "/v1/tokens").json["tokens"]
                if entry["id"] == aging.token.body["id"]]
    until("it has expired", lambda: state() == ["expired"], 75, 0.5)
    csr = certs.new_csr(made, "late", "/CN=late-1")
    for node in three.nodes.values():
        late = join(node, aging.token, "late-1", csr, "127.0.0.64")
        assert (late.status, late.json["code"]) == (401, "token_invalid")
    assert "late-1" not in str(three.east_1.api("GET", "/v1/nodes").json)
