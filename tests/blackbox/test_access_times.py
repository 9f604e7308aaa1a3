"""When visitors may come. The clock is the machine's: ranges are some hours around now, or leave them out."""

import datetime
import zoneinfo

import pytest

from support.access import basic, visit
from support.usher import run_command

DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def around(zone="UTC", day=False):
    """From three hours ago to in three hours there, and the rest of the day."""
    now = datetime.datetime.now(zoneinfo.ZoneInfo(zone))
    begin, end = now - datetime.timedelta(hours=3), now + datetime.timedelta(hours=3)
    days = f"{DAYS[begin.weekday()]} " if day else ""
    return f"{days}{begin:%H:%M}-{end:%H:%M}", f"{end:%H:%M}-{begin:%H:%M}"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Zurich", "Asia/Kolkata", "Pacific/Kiritimati", "America/St_Johns"])
def test_hours_of_a_zone(guarded, zone):
    within, without = around(zone)
    assert visit(guarded(f"{{allow: [all], times: {{at: '{within}', zone: {zone}}}}}"), "8.8.8.8").status == 200
    assert visit(guarded(f"{{allow: [all], times: {{at: '{without}', zone: {zone}}}}}"), "8.8.8.8").status == 403


def test_the_day_counts(guarded):
    within, _ = around(day=True)
    other = DAYS[(DAYS.index(within[:3]) + 3) % 7] + within[3:]
    assert visit(guarded(f"{{allow: [all], times: {{at: ['{other}', '{within}'], zone: UTC}}}}"), "8.8.8.8").status == 200
    usher = guarded(f"{{allow: [all], times: {{at: ['{other}'], zone: UTC}}}}")
    assert visit(usher, "8.8.8.8").status == 403
    # The line says which rule it was.
    usher.wait_for_error(r"refused: access: access.times are over, or are to come.* access=times@\S*usher.yaml:10")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", ":Pacific/Kiritimati", "/usr/share/zoneinfo/Pacific/Kiritimati", "<+14>-14"])
def test_the_machines_zone(stage, zone):
    within, without = around("Pacific/Kiritimati")
    config = 'listen: "127.0.0.1:$PORT"\nrespond: {status: 204}\naccess: {allow: [all], times: "$TIMES"}\n'
    assert stage.usher(config, TIMES=within, env={"TZ": zone}).get("/").status == 204
    assert stage.usher(config, TIMES=without, env={"TZ": zone}).get("/").status == 403


def test_nothing_opens_the_door_outside_of_them(guarded):
    _, without = around()
    for rule in (f"allow: [10.0.0.0/8], login: staff, times: {{at: '{without}', zone: UTC}}",
                 f"allow: [10.0.0.0/8], login: staff, require: both, times: {{at: '{without}', zone: UTC}}"):
        usher = guarded(f"{{{rule}}}")
        assert visit(usher, "10.0.0.1").status == 403
        assert visit(usher, "10.0.0.1", basic("ann", "secret")).status == 403
        assert visit(usher, "8.8.8.8", "Accept: text/html").status == 403
        assert not usher.site.requests


def test_the_rule_holds_within_them(guarded):
    within, _ = around()
    usher = guarded(f"{{allow: [10.0.0.0/8], deny: [10.0.0.66], login: staff, times: {{at: '{within}', zone: UTC}}}}")
    assert [visit(usher, address).status for address in ("10.0.0.1", "10.0.0.66", "8.8.8.8")] == [200, 403, 401]
    assert visit(usher, "8.8.8.8", basic("ann", "secret")).status == 200


def test_spellings_of_a_path_do_not_get_by(guarded):
    _, without = around()
    config = f"""
listen: "127.0.0.1:$PORT"
trusted_proxies: [127.0.0.1]
routes:
  - {{path: /admin, access: {{allow: [all], times: {{at: '{without}', zone: UTC}}}}, proxy: $ORIGIN}}
  - {{proxy: $ORIGIN}}
"""
    usher = guarded("false", config=config)
    assert visit(usher, "10.0.0.1", target="/open").status == 200
    for path in ("/admin", "/Admin", "//admin", "/admin;x", "/%2fadmin", "/x/../admin"):
        assert visit(usher, "10.0.0.1", target=path).status == 403


@pytest.mark.parametrize("rule, words", [
    ("{allow: [all], times: 'Mon-Fri 08:00-18:00'}", "outside of Mon-Fri 08:00-18:00 (the machine's time) nobody gets in; everybody gets in"),
    ("{login: staff, times: {at: ['Mon-Fri 08:00-18:00', '09:00-12:00'], zone: Europe/Zurich}}",
     "outside of Mon-Fri 08:00-18:00 and 09:00-12:00 (Europe/Zurich) nobody gets in; everybody logs in through staff; anyone else gets 403"),
    ("{allow: [10.0.0.0/8], deny: [10.0.0.66], login: staff, times: {at: '22:00-06:00', zone: UTC}}",
     "outside of 22:00-06:00 (UTC) nobody gets in; visitors from 10.0.0.66 never get in; visitors from 10.0.0.0/8 get in; others log in through staff; anyone else gets 403"),
])
def test_in_words(guarded, tmp_path, rule, words):
    config = tmp_path / "words.yaml"
    config.write_text(f"listen: 127.0.0.1:0\nlogins: {{staff: {{users: staff.htpasswd}}}}\naccess: {rule}\nproxy: 127.0.0.1:1\n")
    done = run_command("check", config)
    assert done.returncode == 0 and f"default *: {words}\n" in done.stdout, done.stderr


@pytest.mark.parametrize("times, message", [
    ("'Mon-Fir 08:00-18:00'", r':10:31: "Mon-Fir 08:00-18:00" names no day; expected Mon, Tue'),
    ("'Monday 08:00-18:00'", r':10:31: "Monday 08:00-18:00" names no day'),
    ("['Mon 08:00-18:00', 'Tue 8-18']", r':10:51: "Tue 8-18" is no time; expected one such as Mon-Fri 08:00-18:00'),
    ("'08:00-08:00'", r':10:31: "08:00-08:00" begins when it ends; the whole day is 00:00-24:00'),
    ("{at: '08:00-18:00', zone: Europe/Zürich}", r':10:57: there is no time zone "Europe/Zürich" in /usr/share/zoneinfo/'),
    ("{at: '08:00-18:00', zone: Europe}", r':10:57: there is no time zone "Europe"'),
    ("{at: '08:00-18:00', zone: ../../../etc/passwd}", r':10:57: there is no time zone'),
    ("{at: '08:00-18:00', zone: tzdata.zi}", r':10:57: there is no time zone'),
    ("{at: []}", r':10:'), ("{zone: UTC}", r':10:.*at'), ("{when: '08:00-18:00'}", r':10:32: unknown key "when"'),
])
def test_what_is_no_rule(guarded, times, message):
    with pytest.raises(AssertionError, match=message):
        guarded(f"{{allow: [all], times: {times}}}")


def test_times_alone_do_not_say_who(guarded):
    with pytest.raises(AssertionError, match="this rule does not say who gets in"):
        guarded("{times: '00:00-24:00'}")


def test_what_tz_says_must_be_a_zone(stage):
    with pytest.raises(AssertionError, match="the environment's TZ is no time zone"):
        stage.usher('listen: "127.0.0.1:$PORT"\nrespond: {status: 204}\naccess: {allow: [all], times: "00:00-24:00"}\n', env={"TZ": "Mars/Olympus"})
