"""What every refused request has in common."""

import json


def assert_refused(usher, origin, data, statuses=(400,), head_only=True):
    """The client gets one of the statuses and a closed connection; the origin gets no request.

    head_only: not a byte reaches the origin. Otherwise the fault is in the body, and the
    head may have been passed on, but no whole request.
    """
    bytes_before = len(origin.received)
    requests_before = len(whole(origin))
    with usher.connect() as client:
        client.send(data)
        response = client.response()
        assert response.status in statuses, f"{response.status} for {data!r}"
        assert "close" in response.tokens("connection")
        client.expect_closed()
    after = origin.received
    if head_only:
        assert len(after) == bytes_before, f"the origin got {after[bytes_before:]!r}"
    assert len(whole(origin)) == requests_before, f"the origin got {whole(origin)[requests_before:]}"


def whole(origin):
    """The requests that reached the origin to their last byte."""
    return list(origin.requests)


def echoed(response):
    """What an echo origin received."""
    assert response.status == 200, response
    return json.loads(response.body)
