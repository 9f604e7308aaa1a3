"""A directory: OpenLDAP's slapd, with users and groups, on free ports."""

import contextlib
import itertools
import pathlib
import socket
import subprocess
import threading

from support.client import PATIENCE
from support.usher import eventually, free_port

SUFFIX = "dc=example,dc=com"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
READER, READER_PASSWORD = f"cn=reader,{SUFFIX}", "reads all"
ROOT, ROOT_PASSWORD = f"cn=root,{SUFFIX}", "root"

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {directory}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
# As careless servers are: an empty password lets anybody in as nobody in particular.
allow bind_anon_cred bind_anon_dn
loglevel stats
database mdb
suffix "{suffix}"
rootdn "{root}"
rootpw {root_password}
directory {directory}/data
index objectClass,uid,member eq
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=hidden,{suffix}" by dn.exact="{reader}" read by anonymous auth by * none
access to * by * read
overlay memberof
"""

ENTRIES = f"""
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: Example

dn: {PEOPLE}
objectClass: organizationalUnit

dn: {GROUPS}
objectClass: organizationalUnit

dn: ou=lists,{SUFFIX}
objectClass: organizationalUnit

dn: ou=hidden,{SUFFIX}
objectClass: organizationalUnit

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
userPassword: {READER_PASSWORD}
"""


def person(name, password, more="", base=PEOPLE):
    """An entry in LDIF."""
    return f"dn: uid={name},{base}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\nuserPassword: {password}\n{more}\n"


def group(name, *members, base=GROUPS):
    lines = "".join(f"member: {member}\n" for member in members)
    return f"dn: cn={name},{base}\nobjectClass: groupOfNames\n{lines}\n"


class Mute:
    """A port where connections are made, and nothing is ever said."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]

    def stop(self):
        self.socket.close()


class Babbler:
    """A port where whatever is asked gets these bytes, one by one, again and again; or all of them at once."""

    def __init__(self, answer, pause=0.0):
        self.answer, self.pause = answer, pause
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.serve)]
        self.threads[0].start()

    def serve(self):
        while not self.ended.is_set():
            with contextlib.suppress(OSError):
                client, _ = self.socket.accept()
                self.threads.append(threading.Thread(target=self.babble, args=(client,)))
                self.threads[-1].start()

    def babble(self, client):
        with client, contextlib.suppress(OSError):
            client.recv(65536)
            pieces = itertools.cycle([self.answer[i:i + 1] for i in range(len(self.answer))] if self.pause else [self.answer])
            while not self.ended.is_set():
                client.sendall(next(pieces))
                if self.pause:
                    self.ended.wait(self.pause)

    def stop(self):
        self.ended.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        self.socket.close()


class Directory:
    """A running slapd: .url and .secure_url by 127.0.0.1."""

    def __init__(self, directory, certificate, ca, entries):
        self.directory = pathlib.Path(directory)
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        self.config = self.directory / "slapd.conf"
        self.config.write_text(CONFIG.format(directory=self.directory, ca=ca, certificate=certificate.chain, key=certificate.key, suffix=SUFFIX,
                                             root=ROOT, root_password=ROOT_PASSWORD, reader=READER))
        self.process = None
        self.port, self.secure_port = free_port(), free_port()
        self.start()
        self.add(ENTRIES + "\n" + entries)

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def secure_url(self):
        return f"ldaps://127.0.0.1:{self.secure_port}"

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/slapd", "-d", "stats", "-f", self.config, "-h", f"{self.url}/ {self.secure_url}/"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self.answers, "slapd to answer")

    def answers(self):
        assert self.process.poll() is None, self.log
        done = subprocess.run(["ldapwhoami", "-x", "-H", self.url], capture_output=True, check=False, timeout=PATIENCE)
        return done.returncode == 0

    def add(self, ldif):
        self.change("ldapadd", ldif)

    def modify(self, ldif):
        self.change("ldapmodify", ldif)

    def change(self, command, ldif):
        done = subprocess.run([command, "-x", "-H", self.url, "-D", ROOT, "-w", ROOT_PASSWORD], input=ldif, text=True, capture_output=True,
                              check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr

    @property
    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def count(self, text):
        """How often it stands in the log of what was asked."""
        return self.log.count(text)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        self.process.wait(PATIENCE)
