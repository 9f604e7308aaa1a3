"""gRPC end to end: grpc-js calls grpc-js through usher, as if usher were not there."""

import pytest

from support import language
from support.grpc import GrpcServer, scenario

FRONTS = ["h2c", "tls"]
BACKS = ["h2c", "h2"]

# The server's certificate is of the tests' own authority.
POOL = """
  grpc:
    servers: [$SERVER]
    tls: {ca: $CA, name: test.example}
"""


def configuration(front, back):
    text = (language.TLS if front == "tls" else language.H2C).replace("$ORIGIN", "grpc" if back == "h2" else "$SERVER")
    return text + (f"pools:{POOL}" if back == "h2" else "")


@pytest.fixture(scope="module", params=[(front, back) for front in FRONTS for back in BACKS], ids=lambda pair: "-to-".join(pair))
def call(request, shared, authority):
    """A function that plays a scenario through usher."""
    front, back = request.param
    certificate = authority.issue("test.example", "127.0.0.1")
    server = shared.add(GrpcServer(certificate if back == "h2" else None))
    usher = shared.usher(configuration(front, back), SERVER=server, CERTIFICATE=certificate.chain, KEY=certificate.key,
                         CA=authority.ca)
    return lambda name: scenario(name, usher.port, authority.ca if front == "tls" else None)


def test_unary_call(call):
    seen = call("unary")
    assert (seen["code"], seen["details"]) == (0, "OK")
    assert seen["answer"]["text"] == "hello" and seen["answer"]["number"] == 42
    assert bytes(seen["answer"]["payload"]["data"]) == b"abc"


def test_metadata_passes_both_ways(call):
    seen = call("metadata")
    assert seen["code"] == 0
    assert seen["head"]["x-head"] == "one"
    assert seen["trailers"]["x-trailer-bin"]["data"] == [0, 1, 255]
    assert '"x-only":"here"' in seen["answer"]["text"]


def test_server_streams(call):
    seen = call("serverStream")
    assert (seen["count"], seen["bytes"], seen["inOrder"], seen["code"]) == (1000, 100000, True, 0)


def test_server_streams_beyond_every_window(call):
    seen = call("serverStreamLarge")
    assert (seen["count"], seen["bytes"], seen["inOrder"], seen["code"]) == (64, 16 * 1024 * 1024, True, 0)


def test_client_streams(call):
    seen = call("clientStream")
    assert seen["error"] is None
    assert (seen["answer"]["number"], seen["answer"]["text"]) == (100, "10240000")


def test_both_stream_in_lock_step(call):
    """Each message waits for the one before to come back: whoever holds one back stops the test."""
    assert call("bidirectional") == {"right": 200, "code": 0}


def test_both_stream_large_messages_in_lock_step(call):
    assert call("bidirectionalLarge") == {"right": 20, "code": 0}


def test_messages_of_four_mebibytes(call):
    assert call("large") == {"code": 0, "details": "OK", "same": True}


def test_answers_of_trailers_only(call):
    seen = call("trailersOnly")
    assert (seen["count"], seen["code"], seen["details"]) == (0, 5, "nothing of that name: 100% ü")
    assert seen["trailers"]["x-reason"] == "as asked"


def test_status_behind_messages(call):
    seen = call("errorAfterMessages")
    assert (seen["count"], seen["inOrder"], seen["code"], seen["details"]) == (3, True, 8, "enough")
    assert seen["trailers"]["x-reason"] == "as asked"


def test_unknown_method(call):
    seen = call("unknownMethod")
    assert seen["code"] == 12 and "None" in seen["details"]


def test_deadline_ends_the_call_on_both_sides(call):
    assert call("deadline") == {"code": 4, "cancelled": True}


def test_cancelling_reaches_the_server(call):
    assert call("cancel") == {"code": 1, "cancelled": True}


def test_many_calls_at_once(call):
    assert call("many") == {"right": 300}
