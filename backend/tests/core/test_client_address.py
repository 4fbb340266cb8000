import time
from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.client_address import TrustedProxies, client_address
from support.provenance import known_from

# Documentation addresses (RFC 5737, RFC 3849) for those outside, real ranges for Google's.
CLIENT = "203.0.113.9"
CLIENT6 = "2001:db8::9"
LB = "198.51.100.80"
GFE = "35.191.4.7"
POD = "10.8.0.3"
RUN = "169.254.169.126"
GOOGLE = "35.191.0.0/16,130.211.0.0/22"


class Case(NamedTuple):
    reason: str
    trusted: str
    peer: str | None
    lines: tuple[str, ...]
    client: str


SPOOFS = {
    "nothing": "",
    "one address": "6.6.6.6, ",
    "many addresses": "6.6.6.6, 7.7.7.7, 127.0.0.1, ",
    "addresses of ours": f"{GFE}, {LB}, 10.0.0.1, ",
    "garbage": 'unknown, "6.6.6.6, [::1, %00, é, ',
    "empty entries": ", ,, ",
}

# What the client wrote stands before what each topology appends: the answer must be the same for every prefix.
TOPOLOGIES = [
    Case("Cloud Run appends the client", "cloud_run", RUN, (CLIENT,), CLIENT),
    Case("Cloud Run appends an IPv6 client", "cloud_run", RUN, (CLIENT6,), CLIENT6),
    Case("the load balancer appends client and itself", "load_balancer", GFE, (f"{CLIENT},{LB}",), CLIENT),
    Case("so it does before Cloud Run", "load_balancer", RUN, (f"{CLIENT}, {LB}",), CLIENT),
    Case("an ingress behind the load balancer appends the front end", "3", POD, (f"{CLIENT},{LB}, {GFE}",), CLIENT),
    Case("each proxy writes a line of its own", "2", POD, (CLIENT, LB), CLIENT),
    Case("one nginx in front", "1", "127.0.0.1", (CLIENT,), CLIENT),
    Case("one nginx, by address", "127.0.0.1", "127.0.0.1", (CLIENT,), CLIENT),
    Case("one nginx, on a unix socket", "unix", None, (CLIENT,), CLIENT),
    Case("front ends and balancer by address", f"{GOOGLE},{LB}", GFE, (f"{CLIENT},{LB}",), CLIENT),
    Case("private network and front ends", f"10.0.0.0/8,{GOOGLE},{LB}", POD, (f"{CLIENT},{LB},{GFE}",), CLIENT),
    Case("the front ends alone do not reach past the balancer", GOOGLE, GFE, (f"{CLIENT},{LB}",), LB),
    Case("IPv6 proxies by network", "2001:db8:1::/48", "2001:db8:1::1", (f"{CLIENT6},2001:db8:1::2",), CLIENT6),
    Case("trust nobody", "", CLIENT, (f"{LB}",), CLIENT),
    Case("a stranger connects past the proxies", f"10.0.0.0/8,{GOOGLE}", CLIENT, ("8.8.8.8",), CLIENT),
]


def _scope(peer: str | None, lines: tuple[str, ...], header: bytes = b"x-forwarded-for") -> dict[str, Any]:
    headers = [(b"host", b"items"), *((header, line.encode("latin-1")) for line in lines)]
    return {"type": "http", "client": None if peer is None else (peer, 4711), "headers": headers}


@known_from(docs="https://cloud.google.com/load-balancing/docs/https#x-forwarded-for_header")
@pytest.mark.parametrize("spoof", SPOOFS.values(), ids=SPOOFS)
@pytest.mark.parametrize("case", TOPOLOGIES, ids=[case.reason for case in TOPOLOGIES])
def test_what_a_client_writes_itself_changes_nothing(case, spoof):
    lines = (spoof + case.lines[0], *case.lines[1:])
    assert client_address(_scope(case.peer, lines), TrustedProxies.parse(case.trusted)) == case.client
    own_line = (spoof, *case.lines)
    assert client_address(_scope(case.peer, own_line), TrustedProxies.parse(case.trusted)) == case.client


CASES = [
    Case("no header, no trust", "", CLIENT, (), CLIENT),
    Case("a header counts for nothing by default", "", CLIENT, ("6.6.6.6",), CLIENT),
    Case("no header behind one proxy: a health check of its own", "1", GFE, (), GFE),
    Case("fewer entries than our proxies append: it did not come through them", "2", GFE, (CLIENT,), GFE),
    Case("an empty header is no entry", "1", GFE, ("", " , "), GFE),
    Case("garbage where our proxy should have written", "1", GFE, ("6.6.6.6, unknown",), GFE),
    Case("garbage left of our entries is never looked at", "2", GFE, (f"unknown, {CLIENT}, {LB}",), CLIENT),
    Case("a trusted peer without a header is the client", "10.0.0.0/8", POD, (), POD),
    Case("garbage from a trusted peer ends the walk at the peer", "10.0.0.0/8", POD, ("unknown",), POD),
    Case("garbage behind trusted entries ends it at the last of them", "10.0.0.0/8", POD, ("x, 10.0.0.2",), "10.0.0.2"),
    Case("all entries trusted: the one that began inside", "10.0.0.0/8", POD, ("10.0.0.9, 10.0.0.2",), "10.0.0.9"),
    Case("the first stranger from the right, not the next", "10.0.0.0/8", POD, (f"6.6.6.6, {CLIENT}",), CLIENT),
    Case("a peer without an address is no trusted one", "10.0.0.0/8", None, (CLIENT,), ""),
    Case("a unix socket has no address to show", "", None, (CLIENT,), ""),
    Case("a unix socket that nothing came through", "unix", None, (), ""),
    Case("a unix socket and a network are trusted together", "unix,10.0.0.0/8", None, (f"{CLIENT}, {POD}",), CLIENT),
    Case("a network's trust is not the socket's", "unix", CLIENT, ("6.6.6.6",), CLIENT),
    Case("hops count on a unix socket as well", "1", None, (f"6.6.6.6, {CLIENT}",), CLIENT),
    Case("hops that are missing on a unix socket", "2", None, (CLIENT,), ""),
    Case("IPv4 with a port", "1", GFE, (f"{CLIENT}:51234",), CLIENT),
    Case("IPv6 in brackets", "1", GFE, (f"[{CLIENT6}]",), CLIENT6),
    Case("IPv6 in brackets with a port", "1", GFE, (f"[{CLIENT6}]:51234",), CLIENT6),
    Case("IPv6 with a zone", "1", GFE, ("fe80::1%eth0",), "fe80::1"),
    Case("IPv6 in brackets with a zone and a port", "1", GFE, ("[fe80::1%25eth0]:80",), "fe80::1"),
    Case("IPv6 written at length is shown short", "1", GFE, ("2001:DB8:0:0:0:0:0:9",), CLIENT6),
    Case("IPv4 in IPv6's clothes", "1", GFE, (f"::ffff:{CLIENT}",), CLIENT),
    Case("a peer in IPv6's clothes", "", f"::ffff:{CLIENT}", (), CLIENT),
    Case("a trusted peer in IPv6's clothes", "10.0.0.0/8", f"::ffff:{POD}", (CLIENT,), CLIENT),
    Case("a peer with a zone", "", "fe80::1%eth0", (), "fe80::1"),
    Case("a bracket that stays open", "1", GFE, (f"[{CLIENT6}",), GFE),
    Case("a port that is none", "1", GFE, (f"{CLIENT}:http",), GFE),
    Case("a port behind brackets that is none", "1", GFE, (f"[{CLIENT6}]x80",), GFE),
    Case("digits of other scripts are no port", "1", GFE, (f"{CLIENT}:²",), GFE),
    Case("an octal look-alike is no address", "1", GFE, ("010.0.0.1",), GFE),
    Case("a number is no address", "1", GFE, ("3405803785",), GFE),
    Case("a network is no address", "1", GFE, (f"{CLIENT}/32",), GFE),
    Case("a very long entry is no address", "1", GFE, (CLIENT + "0" * 60_000,), GFE),
    Case("the end of a very long entry is no address", "1", GFE, ("x" + " " * 300 + "6.6.6.6",), GFE),
    Case("spaces and tabs around entries", "2", GFE, (f"6.6.6.6 ,\t{CLIENT} , {LB} ",), CLIENT),
    Case("a peer that is a name, as in tests", "", "testclient", (), "testclient"),
    Case("a peer that is a name is no trusted one", "10.0.0.0/8", "testclient", (CLIENT,), "testclient"),
    Case("a name is no unix socket", "unix", "testclient", (CLIENT,), "testclient"),
    Case("a walk ends after 64 entries", "10.0.0.0/8", POD, (CLIENT, *["10.0.0.2"] * 70), "10.0.0.2"),
    Case("a comma at the end is no entry", "1", GFE, (f"{CLIENT}, ,",), CLIENT),
    Case("an entry that is padded beyond all measure", "1", GFE, (" " * 300 + CLIENT,), GFE),
    Case("an empty peer", "", "", (CLIENT,), ""),
]


@pytest.mark.parametrize("case", CASES, ids=[case.reason for case in CASES])
def test_the_client_of(case):
    assert client_address(_scope(case.peer, case.lines), TrustedProxies.parse(case.trusted)) == case.client


FORWARDED = [
    Case("it is read only when asked for", "1", GFE, (f"for={CLIENT}",), GFE),
    Case("one proxy", "forwarded:1", GFE, (f"for={CLIENT};proto=https;by={LB}",), CLIENT),
    Case("names in any case", "forwarded:1", GFE, (f"Proto=https; For={CLIENT}",), CLIENT),
    Case("IPv6, quoted, with a port", "forwarded:1", GFE, (f'for="[{CLIENT6}]:4711"',), CLIENT6),
    Case("by address", "forwarded:10.0.0.0/8", POD, (f"for=6.6.6.6, for={CLIENT}, for=10.0.0.1",), CLIENT),
    Case("an open quote of the client swallows nothing", "forwarded:1", GFE, (f'for="evil, for={CLIENT}',), CLIENT),
    Case("an open quote on a line of its own", "forwarded:1", GFE, ('for="evil', f"for={CLIENT}"), CLIENT),
    Case("the name 'unknown'", "forwarded:1", GFE, ("for=unknown",), GFE),
    Case("a hidden name", "forwarded:1", GFE, ("for=_gazonk",), GFE),
    Case("two names in one element", "forwarded:1", GFE, (f"for={CLIENT};for=6.6.6.6",), GFE),
    Case("no name", "forwarded:1", GFE, ("proto=https",), GFE),
    Case("half a quote", "forwarded:1", GFE, (f'for="{CLIENT}9',), GFE),
    Case("a lone quote", "forwarded:1", GFE, ('for="',), GFE),
]


@known_from(docs="https://www.rfc-editor.org/rfc/rfc7239#section-4")
@pytest.mark.parametrize("case", FORWARDED, ids=[case.reason for case in FORWARDED])
def test_the_client_of_a_forwarded_header(case):
    scope = _scope(case.peer, case.lines, b"forwarded")
    assert client_address(scope, TrustedProxies.parse(case.trusted)) == case.client


def test_one_header_is_never_taken_for_the_other():
    scope = _scope(GFE, ("6.6.6.6",))
    assert client_address(scope, TrustedProxies.parse("forwarded:1")) == GFE


def test_a_hop_count_is_only_as_true_as_the_way_in():
    # Whoever can reach Cloud Run's own URL beside the load balancer brings one entry of their own: close that way.
    scope = _scope(RUN, (f"6.6.6.6, {CLIENT}",))
    assert client_address(scope, TrustedProxies.parse("load_balancer")) == "6.6.6.6"


class _NoHeaders(dict[str, Any]):
    def __getitem__(self, name: str) -> Any:
        raise AssertionError(f"{name} was looked at")


def test_without_trusted_proxies_the_headers_are_not_looked_at():
    assert client_address(_NoHeaders(client=(CLIENT, 1))) == CLIENT
    assert client_address(_NoHeaders(client=[CLIENT, 1]), TrustedProxies()) == CLIENT
    assert client_address(_NoHeaders()) == ""


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", {}),
        ("0", {}),
        (" 2 ", {"hops": 2}),
        ("cloud_run", {"hops": 1}),
        ("LOAD_BALANCER", {"hops": 2}),
        ("forwarded:", {"forwarded": True}),
        ("Forwarded: 1", {"hops": 1, "forwarded": True}),
        ("unix", {"unix": True}),
    ],
)
def test_a_setting_is_read(text, parsed):
    trusted = TrustedProxies.parse(text)
    assert trusted == TrustedProxies(**parsed)
    assert bool(trusted) is bool({"hops", "unix"} & parsed.keys())


def test_networks_and_single_addresses_are_read_together():
    networks = TrustedProxies.parse("10.0.0.0/8, 192.0.2.7,2001:db8::/32").networks
    assert [str(network) for network in networks] == ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("*", "no network"),
        ("-1", "no network"),
        ("1.5", "no network"),
        ("²", "no network"),
        ("\u0663", "no network"),
        ("cloud_runs", "no network"),
        ("10.0.0.1/8", "host bits"),
        ("10.0.0.0/8;1", "no network"),
        ("0.0.0.0/0", "trust everybody"),
        ("::/0", "trust everybody"),
        ("10.0.0.0/8,0.0.0.0/0", "trust everybody"),
        ("17", "mistake"),
        ("9" * 5000, "mistake"),
        ("::ffff:10.0.0.0/104", "IPv4"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        TrustedProxies.parse(text)


def test_long_headers_take_milliseconds():
    trusted = TrustedProxies.parse("10.0.0.0/8")
    for lines in (("10.0.0.1," * 6000,), ("10.0.0.1",) * 500, (",",) * 500, ("," * 60_000,), ("x" * 60_000,)):
        started = time.perf_counter()
        client_address(_scope(POD, lines), trusted)
        assert time.perf_counter() - started < 0.05


_ENTRIES = st.text(alphabet='0123456789abcdef.:[]%,;="for \t\x00é', max_size=60) | st.ip_addresses().map(str)


@given(
    st.lists(_ENTRIES, max_size=8),
    st.sampled_from(["", "1", "3", "10.0.0.0/8,unix", "forwarded:1", "forwarded:10.0.0.0/8,::1"]),
    st.sampled_from([None, "", CLIENT, POD, "::1", "testclient"]),
)
def test_no_header_raises_and_what_comes_out_is_an_address(lines, trusted, peer):
    for header in (b"x-forwarded-for", b"forwarded"):
        shown = client_address(_scope(peer, tuple(lines), header), TrustedProxies.parse(trusted))
        assert shown in {"", "testclient"} or str(ip_address(shown)) == shown
