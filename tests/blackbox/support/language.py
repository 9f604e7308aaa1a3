"""Words of usher's configuration and messages that many tests lean on, in one place."""

# What the error log says when a new configuration rules.
RELOADED = r"reloaded \S+ in \d+ ms"

# What it says when it serves for the first time.
SERVING = r"serving \d+ sites?"

# The shortest configuration: everything goes to one origin.
PROXY = """
listen: "127.0.0.1:$PORT"
access_log: off
proxy: $ORIGIN
"""

# The same by TLS: HTTP/2 and HTTP/1.1, as the client likes.
TLS = """
listen: [{address: "127.0.0.1:$PORT", tls: true}]
access_log: off
tls: {certificate: $CERTIFICATE, key: $KEY}
proxy: $ORIGIN
"""

# And by HTTP/2 without TLS, for clients that know (RFC 9113 section 3.3).
H2C = """
listen: [{address: "127.0.0.1:$PORT", h2c: true}]
access_log: off
proxy: $ORIGIN
"""
