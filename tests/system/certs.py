"""Certificates that a stranger, or a member gone wrong, might show; made with the openssl program."""
import ssl
import subprocess

USAGE = "extendedKeyUsage=clientAuth,serverAuth\n"


def openssl(folder, *words):
    done = subprocess.run(["openssl", *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Pair:
    """A certificate and its key, as files; the certificate's file may hold a chain."""

    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key

    def context(self, ca):
        """Shows this certificate, believes only 'ca'."""
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(self.certificate, self.key)
        return context


def new_key(folder, name):
    openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key")
    (folder / (name + ".key")).chmod(0o600)
    return folder / (name + ".key")


def new_csr(folder, name, subject, key=None):
    key = key or new_key(folder, name)
    openssl(folder, "req", "-new", "-key", key, "-subj", subject, "-out", name + ".csr")
    return folder / (name + ".csr")


def self_signed(folder, name, subject, ca=False):
    key = new_key(folder, name)
    openssl(folder, "req", "-x509", "-new", "-key", key, "-days", "30", "-subj", subject, "-out", name + ".crt",
            "-addext", "basicConstraints=critical,CA:%s" % ("TRUE" if ca else "FALSE"))
    return Pair(folder / (name + ".crt"), key)


def signed(folder, name, subject, ca, start="20200101000000Z", end="20990101000000Z", extensions=USAGE, key=None):
    """Signed by the pair 'ca', good from 'start' to 'end'."""
    key = key or new_key(folder, name)
    request = new_csr(folder, name, subject, key)
    for file, text in (("index", ""), ("extensions", extensions), ("config", CONFIG)):
        (folder / ("%s.%s" % (name, file))).write_text(text.replace("NAME", name))
    openssl(folder, "ca", "-batch", "-notext", "-preserveDN", "-config", name + ".config", "-cert", ca.certificate,
            "-keyfile", ca.key, "-in", request, "-out", name + ".crt", "-startdate", start, "-enddate", end,
            "-extfile", name + ".extensions")
    return Pair(folder / (name + ".crt"), key)


CONFIG = """[ca]
default_ca=here
[here]
database=NAME.index
new_certs_dir=.
default_md=sha256
rand_serial=yes
policy=any
[any]
commonName=supplied
organizationName=optional
"""
