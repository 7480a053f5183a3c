"""Files from https://, through a server with a certificate of its own."""

import hashlib
import http.server
import re
import time
from typing import ClassVar

import pytest
from https_site import make_certificate, serving

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    WeightSpec,
    _sources,
    _verify,
    _web_files,
)

BODY = b"tensors" * 1000
HASH = hashlib.sha256(BODY).hexdigest()
NAMED = f"net-{HASH[:8]}.pth"


class _Handler(http.server.BaseHTTPRequestHandler):
    bodies = 0
    answers: ClassVar[list] = []  # statuses or handlers of the next requests

    def do_GET(self):
        if self.answers:
            return self.answers.pop(0)(self)
        if self.path.startswith("/page"):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            return self.wfile.write(b"<html>sign in</html>")
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/plain")
            return self.end_headers()
        if self.path.startswith("/missing"):
            return self.send_error(404)
        if self.path.startswith("/chunked"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            return self.wfile.write(b"ffff\r\n" + BODY)
        type(self).bodies += 1
        cut = len(BODY) // (2 if self.path.startswith("/cut") else 1)
        self.send_part(0, cut)

    def send_part(self, start, stop, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        self.wfile.write(BODY[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def site(certificate, caches, monkeypatch):
    """An https:// address that this test trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    _Handler.bodies = 0
    _Handler.answers = []
    with serving(_Handler, certificate) as address:
        yield address


@pytest.fixture(autouse=True)
def waited(monkeypatch):
    """The seconds of each wait, none of which takes place."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def spec(url, **changes):
    return WeightSpec(
        name="tiny.web",
        url=url,
        filename=url.rpartition("/")[2],
        license="mit",
        data_terms="none",
        origin="trained",
        **changes,
    )


def test_force_without_a_network_says_that_the_file_is_there(site, monkeypatch):
    url = f"{site}/a/{NAMED}"
    path = _web_files.fetch(url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="stays in the cache") as caught:
        _web_files.fetch(url, force=True)
    assert "not in the cache" not in str(caught.value)
    assert path.read_bytes() == BODY


def test_a_file_is_fetched_once_and_verified(site):
    row = spec(f"{site}/a/{NAMED}", sha256=HASH)
    for _ in range(2):
        [file] = _sources.local_files(row)
        assert file.path.read_bytes() == BODY
    assert _Handler.bodies == 1


def test_the_bar_names_the_file_and_its_size(site, capsys):
    _web_files.fetch(f"{site}/a/{NAMED}")
    assert re.search(rf"{NAMED}: 100%.* 7.00k/7.00k", capsys.readouterr().err)


def test_force_fetches_again(site):
    row = spec(f"{site}/a/{NAMED}", sha256=HASH)
    _sources.local_files(row)
    _sources.local_files(row, force=True)
    assert _Handler.bodies == 2


def test_a_wrong_hash_says_how_to_repair(site):
    row = spec(f"{site}/a/net.pth", sha256="0" * 64)
    with pytest.raises(WeightsError, match="weights pull --force tiny.web"):
        _sources.local_files(row)


def test_the_hash_in_pytorchs_file_names_counts(site):
    _sources.local_files(spec(f"{site}/a/{NAMED}"))
    with pytest.raises(WeightsError, match=r"expected sha256 00000000\.\.\."):
        _sources.local_files(spec(f"{site}/a/net-00000000.pth"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("missing.pth", "answered 404"),
        ("cut.pth", "cut off|cannot be fetched"),
        ("chunked.pth", "failed or was cut off: IncompleteRead"),
        ("moved.pth", "cannot be fetched|not https://"),
        ("page.html", "sign-in page of your network"),
    ],
)
def test_a_failed_download_names_its_cause_and_leaves_nothing(site, path, text):
    with pytest.raises(WeightsError, match=text):
        _web_files.fetch(f"{site}/{path}")
    kept = [p for p in (_verify.cache_folder() / "files").iterdir()
            if not p.name.endswith(".lock")]  # fmt: skip
    assert kept == []


def refuse(status, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def half(handler):
    handler.send_part(0, 3000)


def rest(handler):
    start = int(handler.headers["Range"].removeprefix("bytes=")[:-1])
    handler.send_part(start, len(BODY), 206)


@pytest.mark.parametrize(
    ("answers", "waits"),
    [
        ([refuse(503), refuse(429)], [1.0, 2.0]),
        ([refuse(429, Retry_After="7")], [7.0]),
        ([half, rest], [1.0]),
        ([half], [1.0]),  # a server without ranges sends all again
    ],
)
def test_trouble_that_passes_is_waited_for(site, waited, answers, waits):
    _Handler.answers = [*answers]
    path = _web_files.fetch(f"{site}/a/net.pth")
    assert path.read_bytes() == BODY
    assert waited == waits


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "password"),
        (403, "forbidden"),
        (407, "HTTPS_PROXY"),
        (429, "wait"),
    ],
)
def test_each_status_has_its_own_error(site, waited, status, text):
    _Handler.answers = [refuse(status, Retry_After="3600")]
    with pytest.raises(WeightsError, match=f"answered {status} .*{text}"):
        _web_files.fetch(f"{site}/a/net.pth")
    assert waited == []


def test_an_untrusted_certificate_is_refused(site, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(WeightsError, match="cannot be fetched: .*certificate"):
        _web_files.fetch(f"{site}/a/net.pth")


def test_offline_mode_asks_nobody(site, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE forbids"):
        _web_files.fetch(f"{site}/a/net.pth")
    assert _Handler.bodies == 0
