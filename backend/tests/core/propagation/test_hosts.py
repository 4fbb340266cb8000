import pytest

from app.core.propagation import AllowedHosts
from support.provenance import known_from, our_choice


@pytest.mark.parametrize(
    ("patterns", "host", "allowed"),
    [
        (["api.example.com"], "api.example.com", True),
        (["API.example.com."], "api.EXAMPLE.com", True),
        (["api.example.com"], "api.example.com.", True),
        (["api.example.com"], "api.example.com.evil.com", False),
        (["api.example.com"], "evil-api.example.com", False),
        (["api.example.com"], "example.com", False),
        (["*.example.com"], "api.example.com", True),
        (["*.example.com"], "a.b.example.com", True),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], ".example.com", False),
        (["*.example.com"], "evilexample.com", False),
        (["*.example.com"], "example.com.evil.com", False),
        (["10.0.0.7"], "10.0.0.7", True),
        (["10.0.0.7"], "10.0.0.70", False),
        (["[2001:DB8::1]"], "2001:db8::1", True),
        (["*.svc.cluster.local", "api_1.internal"], "api_1.internal", True),
        ("api.example.com, *.example.org", "www.example.org", True),
        ("api.example.com, *.example.org", "api.example.com", True),
        ("", "api.example.com", False),
        ([], "", False),
    ],
)
def test_only_named_hosts_are_allowed(patterns, host, allowed):
    assert (host in AllowedHosts.parse(patterns)) is allowed


@pytest.mark.parametrize(
    "pattern",
    [
        "https://api.example.com",
        "api.example.com:443",
        "api.example.com/v1",
        "*",
        "*.",
        "a*.example.com",
        "*.*.example.com",
        "a b",
        "a..b",
        "-",
        "münchen",
        "x" * 300,
        "api.example.com\n.evil.com",
    ],
)
def test_a_pattern_that_is_no_host_is_refused_with_an_example(pattern):
    with pytest.raises(ValueError, match=r"\*\.example\.com"):
        AllowedHosts.parse([pattern])


@known_from(docs="https://publicsuffix.org/list/public_suffix_list.dat")
@pytest.mark.parametrize("pattern", ["*.run.app", "*.a.run.app", "*.europe-west1.run.app", "*.cloudfunctions.net"])
def test_a_wildcard_over_names_that_google_gives_to_everybody_is_refused(pattern):
    with pytest.raises(ValueError, match="every Google Cloud customer"):
        AllowedHosts.parse([pattern])


@our_choice("one service's own name is as good as any")
def test_one_service_on_cloud_run_can_be_named():
    assert "items-123.europe-west1.run.app" in AllowedHosts.parse(["items-123.europe-west1.run.app"])
