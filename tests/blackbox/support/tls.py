"""Certificates made for a test by an authority of its own, and clients that speak TLS."""

import datetime
import hashlib
import ipaddress
import pathlib
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from support import wire
from support.client import PATIENCE, RawClient

ALERTS = {0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure",
          42: "bad_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
          47: "illegal_parameter", 48: "unknown_ca", 50: "decode_error", 51: "decrypt_error", 70: "protocol_version",
          80: "internal_error", 86: "inappropriate_fallback", 100: "no_renegotiation", 109: "missing_extension",
          112: "unrecognized_name", 116: "certificate_required", 120: "no_application_protocol"}
PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def new_key(kind="ecdsa"):
    """A private key; kind: "ecdsa" (P-256), "p384", or "rsa" with its bits behind ("rsa3072")."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:] or 2048))
    return ec.generate_private_key({"ecdsa": ec.SECP256R1, "p384": ec.SECP384R1}[kind]())


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)


def alternative_names(names):
    """Host names, addresses and mail addresses as subject alternative names."""
    made = []
    for name in names:
        try:
            made.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            made.append(x509.RFC822Name(name) if "@" in name else x509.DNSName(name))
    return x509.SubjectAlternativeName(made)


class Certificate:
    """A certificate with its key, in files: .chain (leaf first, as a server shows it), .leaf, .key, .both."""

    def __init__(self, directory, stem, certificate, key, above):
        self.certificate, self.private_key = certificate, key
        self.serial = certificate.serial_number
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.fingerprint = hashlib.sha256(self.der).hexdigest()
        self.leaf_pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.chain_pem = self.leaf_pem + b"".join(above)
        self.key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption())
        self.chain, self.leaf = directory / f"{stem}.pem", directory / f"{stem}.leaf.pem"
        self.key, self.both = directory / f"{stem}.key", directory / f"{stem}.both.pem"
        for path, content in ((self.chain, self.chain_pem), (self.leaf, self.leaf_pem), (self.key, self.key_pem),
                              (self.both, self.chain_pem + self.key_pem)):
            path.write_bytes(content)
            path.chmod(0o600)


class Authority:
    """A certificate authority in a directory; those that it signs are verified with .ca (a file)."""

    def __init__(self, directory, name="Test Root", key="ecdsa", parent=None):
        self.directory = pathlib.Path(directory)
        self.name, self.parent = name, parent
        self.count = 0
        private_key = new_key(key)
        builder = self.builder(name, private_key.public_key(), days=(-1, 3650), issuer=parent and parent.subject())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage(authority=True), critical=True)
        signer = parent.own.private_key if parent else private_key
        # A root is trusted as it is, and is never sent along.
        above = parent.sent() if parent else []
        self.own = Certificate(self.directory, slug(name), builder.sign(signer, hashes.SHA256()), private_key, above)
        self.revoked = []

    @property
    def ca(self):
        return self.root().own.leaf

    def root(self):
        return self.parent.root() if self.parent else self

    def subject(self):
        return self.own.certificate.subject

    def sent(self):
        """What stands behind a leaf of this authority: the intermediates, but not the root."""
        return [self.own.leaf_pem, *self.parent.sent()] if self.parent else []

    def intermediate(self, name="Test Intermediate", key="ecdsa"):
        return Authority(self.directory, name, key, parent=self)

    @staticmethod
    def builder(common_name, public_key, days, issuer=None, organization=None):
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
        if organization:
            attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        subject = x509.Name(attributes)
        first, last = (now() + datetime.timedelta(days=each) for each in days)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer if issuer is not None else subject)
                .public_key(public_key).serial_number(x509.random_serial_number()).not_valid_before(first).not_valid_after(last)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False))

    def issue(self, *names, key="ecdsa", days=(-1, 90), purpose="server", common_name=None, organization=None, responder=None,
              must_staple=False, stem=None):
        """A leaf for these names; days: from when to when, from now."""
        private_key = new_key(key)
        common_name = common_name if common_name is not None else names[0][:64]
        builder = self.builder(common_name, private_key.public_key(), days, self.subject(), organization)
        if names:
            builder = builder.add_extension(alternative_names(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(usage(), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[purpose]]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.own.private_key.public_key()), critical=False)
        if responder:
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder))
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        if must_staple:
            builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        self.count += 1
        stem = stem or f"{slug(self.name)}-{self.count}-{slug(common_name)}"
        certificate = builder.sign(self.own.private_key, hashes.SHA256())
        return Certificate(self.directory, stem, certificate, private_key, self.sent())

    def self_signed(self, *names, days=(-1, 90)):
        """Signed by nobody but itself."""
        private_key = new_key()
        builder = self.builder(names[0], private_key.public_key(), days).add_extension(alternative_names(names), critical=False)
        self.count += 1
        certificate = builder.sign(private_key, hashes.SHA256())
        return Certificate(self.directory, f"self-signed-{self.count}", certificate, private_key, [])

    def revoke(self, *certificates, days=(-1, 30)):
        """Writes the list of all that it revoked so far, and returns its file."""
        self.revoked += certificates
        first, last = (now() + datetime.timedelta(days=each) for each in days)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.subject()).last_update(first).next_update(last)
        for each in self.revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(first).build()
            builder = builder.add_revoked_certificate(entry)
        path = self.directory / f"{slug(self.name)}.crl.pem"
        path.write_bytes(builder.sign(self.own.private_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def ocsp(self, certificate, status="good", days=(-1, 7), stem="ocsp"):
        """A response for a certificate of this authority, in DER, as a file."""
        revoked = status == "revoked"
        first, last = (now() + datetime.timedelta(days=each) for each in days)
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate.certificate, issuer=self.own.certificate, algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD, this_update=first, next_update=last,
            revocation_time=first if revoked else None, revocation_reason=None)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.own.certificate)
        path = self.directory / f"{stem}.der"
        path.write_bytes(builder.sign(self.own.private_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
        return path

    def trusting(self, alpn=(), certificate=None, versions=None):
        """A client's context that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if certificate:
            context.load_cert_chain(certificate.chain, certificate.key)
        if versions:
            context.minimum_version, context.maximum_version = versions
        return context


def usage(authority=False):
    return x509.KeyUsage(digital_signature=not authority, content_commitment=False, key_encipherment=False,
                         data_encipherment=False, key_agreement=False, key_cert_sign=authority, crl_sign=authority,
                         encipher_only=False, decipher_only=False)


def slug(name):
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def serving(certificate, alpn=(), client_ca=None):
    """A server's context that shows a certificate; client_ca: clients must show one of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TlsClient(RawClient):
    """A raw client inside of TLS; `server_name` is what it asks for, and verifies."""

    def __init__(self, port, context, server_name="test.example", session=None, host="127.0.0.1", **more):
        super().__init__(port, host, **more)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=server_name, session=session)
        except BaseException:
            self.socket.close()
            raise

    @property
    def serial(self):
        """Of the certificate that the server showed."""
        return x509.load_der_x509_certificate(self.socket.getpeercert(True)).serial_number

    def quiet(self, seconds=0.2):
        """True when nothing comes for that long; ssl sockets cannot peek."""
        if self.reader.buffer or self.socket.pending():
            return False
        self.socket.settimeout(seconds)
        try:
            self.reader.buffer += self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    def close_notify(self):
        """Says that nothing more comes, and waits for the other side to say the same."""
        return self.socket.unwrap()


class MemoryTls:
    """A handshake by hand: the records that a client makes can be held back, cut, or changed."""

    def __init__(self, context, server_name="test.example"):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_name)

    def step(self, data=b""):
        """Takes what the server sent; returns (whether the handshake is done, what to send)."""
        self.incoming.write(data)
        try:
            self.object.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        return done, self.outgoing.read()

    def hello(self):
        return self.step()[1]


def read_alert(client):
    """How a server answers a hello: by the name of an alert, "accepted", or "end" when it says nothing."""
    if client.reader.at_end():
        return "end"
    kind = client.reader.exactly(1)[0]
    client.reader.exactly(2)
    body = client.reader.exactly(int.from_bytes(client.reader.exactly(2), "big"))
    return ALERTS.get(body[1], str(body[1])) if kind == 21 else "accepted"


def refusal(port, context, server_name="test.example"):
    """How the server answers the hello of such a client; as read_alert."""
    with RawClient(port) as client:
        client.send(MemoryTls(context, server_name).hello())
        return read_alert(client)


def handshake(port, context, server_name="test.example"):
    """(version, suite, ALPN's choice, serial) of a whole handshake."""
    with TlsClient(port, context, server_name) as client:
        return client.socket.version(), client.socket.cipher()[0], client.socket.selected_alpn_protocol(), client.serial


def ends_with_close_notify(client):
    """True when the server said the end of its data within TLS; False when the connection was cut."""
    try:
        return client.socket.recv(1) == b""
    except ssl.SSLEOFError:
        return False
    except socket.timeout:
        raise wire.ProtocolError("the connection did not end") from None
