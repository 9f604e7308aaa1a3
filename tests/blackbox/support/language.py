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
