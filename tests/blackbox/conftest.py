"""Fixtures: usher, origins and clients. What a fixture started is ended, and held to account, when the test is over."""

import time

import pytest

from support import language
from support.access import guarded  # pylint: disable=unused-import
from support.browser import browse  # pylint: disable=unused-import
from support.cache import administered, cached, tagged  # pylint: disable=unused-import
from support.origin import DeadPort, Origin, SilentPort, echo
from support.tls import Authority
from support.usher import Usher


class Stage:
    """Starts things, and ends them in reverse order."""

    def __init__(self, make_directory):
        self.make_directory = make_directory
        self.started = []

    def add(self, thing):
        self.started.append(thing)
        return thing

    def origin(self, script=echo, **more):
        return self.add(Origin(script, **more))

    def dead_port(self):
        return self.add(DeadPort())

    def silent_port(self):
        return self.add(SilentPort())

    def usher(self, config=language.PROXY, env=None, arguments=None, serving=True, descriptors=None, **values):
        """usher with this configuration, in which $NAME stands for a value: a text, a port, or an origin (its URL)."""
        values = {key: getattr(value, "url", value) for key, value in values.items()}
        return self.add(Usher(self.make_directory(), config, env, arguments, values, serving, descriptors))

    def end(self):
        errors = []
        for thing in reversed(self.started):
            try:
                thing.stop()
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)
        if errors:
            raise errors[0]


def make_stage(tmp_path_factory):
    return Stage(lambda: tmp_path_factory.mktemp("usher"))


@pytest.fixture
def stage(tmp_path_factory):
    """For one test."""
    made = make_stage(tmp_path_factory)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For all tests of a file."""
    made = make_stage(tmp_path_factory)
    yield made
    made.end()


@pytest.fixture
def proxy(stage):
    """A function: usher in front of an origin with this script; returns (usher, origin)."""
    def start(script=echo, config=language.PROXY, **values):
        origin = stage.origin(script)
        return stage.usher(config, ORIGIN=origin, **values), origin
    return start


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority for all tests of a file."""
    return Authority(tmp_path_factory.mktemp("authority"))


def pytest_collection_modifyitems(items):
    """Names that tell the time are others in each of the processes that share the tests, which then run none."""
    now = time.time()
    changing = (str(int(now))[:6], time.strftime("%d %b %Y", time.gmtime(now)))
    told = [item.nodeid for item in items if any(text in item.nodeid for text in changing)]
    assert not told, told
