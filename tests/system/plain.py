"""A PostgreSQL server as a company runs it: not started, and not configured, by Baton."""
import pathlib
import shutil
import signal
import subprocess

from cluster import Failed, until

PROGRAMS = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
PASSWORD = "plain-superuser-password"
FIT = {"wal_level": "logical", "ssl": "on", "max_wal_senders": "10", "max_replication_slots": "15",
       "max_logical_replication_workers": "8", "max_worker_processes": "12", "max_connections": "40",
       "wal_retrieve_retry_interval": "50ms", "wal_sender_timeout": "5s", "wal_receiver_timeout": "5s",
       "max_slot_wal_keep_size": "1GB", "restart_after_crash": "off", "synchronous_commit": "local"}
HBA = """local all all peer map=here
hostssl all postgres 127.0.0.0/8 scram-sha-256
hostssl baton baton 127.0.0.0/8 scram-sha-256
"""
TLS = {"ssl_cert_file": "baton_tls/server.crt", "ssl_key_file": "baton_tls/server.key",
       "ssl_ca_file": "baton_tls/ca.crt"}  # what batond brings there
HBA_PEERS = "hostssl baton +baton_peers all cert map=baton_peer\n"


class Plain:
    """'run_as' owns it; settings are changed between a stop and a start."""

    def __init__(self, folder, address, port, run_as, env):
        self.folder = pathlib.Path(folder)
        self.address, self.port, self.run_as, self.env = address, port, run_as, env
        self.settings = dict(FIT)
        self.hba = HBA
        self.process = None
        self.folder.mkdir()
        if run_as:
            shutil.chown(self.folder, run_as, run_as)
        self._run(PROGRAMS / "initdb", "-D", self.folder / "data", "-U", "postgres", "--encoding=UTF8", "--locale=C",
                  "--auth=reject", "--no-sync")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=plain", "-addext", "subjectAltName=IP:" + address, "-keyout",
                        self.folder / "server.key", "-out", self.folder / "server.crt"], check=True, capture_output=True)
        (self.folder / "server.key").chmod(0o600)
        shutil.copy(self.folder / "server.crt", self.folder / "root.crt")
        if run_as:
            shutil.chown(self.folder / "server.key", run_as, run_as)
        self.settings.update(ssl_cert_file=self.folder / "server.crt", ssl_key_file=self.folder / "server.key")
        user = run_as or subprocess.check_output(["id", "-un"], text=True).strip()
        self.ident = "here %s postgres\nbaton_peer /^(.*)$ baton_n_\\1\n" % user
        self.start()
        self.sql("alter role postgres password '%s'" % PASSWORD)
        self.stop()

    def _as(self, words):
        words = [str(word) for word in words]
        return ["setpriv", "--reuid", self.run_as, "--regid", self.run_as, "--clear-groups", "--", *words] \
            if self.run_as else words

    def _run(self, *words):
        done = subprocess.run(self._as(words), capture_output=True, text=True, cwd="/", env=self.env, timeout=60)
        if done.returncode != 0:
            raise Failed(done.stderr)
        return done.stdout

    def _write(self, name, text):
        path = self.folder / "data" / name
        path.write_text(text)
        if self.run_as:
            shutil.chown(path, self.run_as, self.run_as)

    def start(self):
        settings = {**self.settings, "listen_addresses": self.address, "port": self.port,
                    "unix_socket_directories": self.folder}
        self._write("postgresql.conf", "".join("%s = '%s'\n" % item for item in settings.items()))
        self._write("pg_hba.conf", self.hba)
        self._write("pg_ident.conf", self.ident)
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(self._as([PROGRAMS / "postgres", "-D", self.folder / "data"]), cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        until("the plain server answers", lambda: self.sql("select 1") == "1")
        return self

    def reload(self):
        """With pg_hba.conf and pg_ident.conf as they are now; the server's own settings stay."""
        self._write("pg_hba.conf", self.hba)
        self._write("pg_ident.conf", self.ident)
        self.sql("select pg_reload_conf()")

    def stop(self, how=signal.SIGINT):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def sql(self, statement, database="postgres"):
        return self._run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", self.port, "-U", "postgres",
                         "-d", database, "-c", statement).strip()

    def dsn(self):
        return ("host=%s port=%d user=postgres password=%s dbname=postgres sslmode=verify-full sslrootcert=%s"
                % (self.address, self.port, PASSWORD, self.folder / "root.crt"))
