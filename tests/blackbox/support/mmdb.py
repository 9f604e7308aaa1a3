"""Makes databases in MaxMind's DB format, version 2.0: https://maxmind.github.io/MaxMind-DB/"""

import ipaddress
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"


def control(kind, size):
    """Type and size of a value; kinds above 7 stand in a byte of their own."""
    first, more = (kind << 5, b"") if kind <= 7 else (0, bytes([kind - 7]))
    if size < 29:
        return bytes([first | size]) + more
    if size < 285:
        return bytes([first | 29]) + more + bytes([size - 29])
    if size < 65821:
        return bytes([first | 30]) + more + (size - 285).to_bytes(2, "big")
    return bytes([first | 31]) + more + (size - 65821).to_bytes(3, "big")


def number(kind, value):
    """Of type 5, 6 or 9: a uint16, uint32 or uint64."""
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return control(kind, len(digits)) + digits


def encode(value):
    """Strings, numbers (as uint32), booleans, floats, maps and lists; bytes stand for themselves."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return control(2, len(value.encode())) + value.encode()
    if isinstance(value, bool):
        return control(14, value)
    if isinstance(value, float):
        return control(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return number(6, value)
    if isinstance(value, dict):
        return control(7, len(value)) + b"".join(encode(name) + encode(item) for name, item in value.items())
    return control(11, len(value)) + b"".join(map(encode, value))


def pointer(offset):
    """To a place in the data section."""
    if offset < 2048:
        return bytes([0x20 | offset >> 8, offset & 255])
    return bytes([0x38]) + offset.to_bytes(4, "big")


def country_record(code):
    """As GeoLite2-Country has it, with what stands around the code."""
    return {
        "continent": {"code": "XX", "geoname_id": 6255148, "names": {"de": "Kontinent", "en": "Continent"}},
        "country": {"geoname_id": 2658434, "is_in_european_union": False, "iso_code": code, "names": {"en": f"The country {code}"}},
        "registered_country": {"iso_code": "AQ", "names": {"en": "Elsewhere"}},
    }


def bits_of(network, version):
    """Of the tree for IPv6, IPv4 is ::/96."""
    network = ipaddress.ip_network(network)
    number, length = int(network.network_address), network.prefixlen
    if version == 6 and network.version == 4:
        length += 96
    width = 128 if version == 6 else 32
    return [number >> (width - 1 - i) & 1 for i in range(length)]


def node_bytes(left, right, record_size):
    if record_size == 28:
        return (left & 0xFFFFFF).to_bytes(3, "big") + bytes([left >> 24 << 4 | right >> 24]) + (right & 0xFFFFFF).to_bytes(3, "big")
    return left.to_bytes(record_size // 8, "big") + right.to_bytes(record_size // 8, "big")


def make(records, version=6, record_size=24, record=country_record, metadata=()):
    """A database of {network: code}, wide networks first; what `record` makes of a code is in the data section once."""
    nodes, section, places = [[None, None]], b"", {}
    for network, code in records.items():
        if code not in places:
            places[code] = len(section)
            section += encode(record(code))
        at, bits = 0, bits_of(network, version)
        for bit in bits[:-1]:
            if not isinstance(nodes[at][bit], int):
                inherited = nodes[at][bit]
                nodes.append([inherited, inherited])
                nodes[at][bit] = len(nodes) - 1
            at = nodes[at][bit]
        nodes[at][bits[-1]] = (places[code],)

    def record_of(item):
        return len(nodes) if item is None else item if isinstance(item, int) else len(nodes) + 16 + item[0]
    tree = b"".join(node_bytes(record_of(left), record_of(right), record_size) for left, right in nodes)
    told = {
        "binary_format_major_version": number(5, 2), "binary_format_minor_version": number(5, 0), "build_epoch": number(9, 1750000000),
        "database_type": "Test-Country", "description": {"en": "made by tests"}, "ip_version": number(5, version), "languages": ["en"],
        "node_count": number(6, len(nodes)), "record_size": number(5, record_size),
    }
    told.update(metadata)
    return tree + bytes(16) + section + MARKER + encode(told)
