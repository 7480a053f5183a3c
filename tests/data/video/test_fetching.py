"""Videos at addresses of this machine: whole, bounded, and no more."""

import functools
import http.server
import threading
from pathlib import Path

import pytest

from keras_twostream.data.video import fetching, limits, live
from keras_twostream.errors import VideoError

CONTENT = bytes(range(256)) * 8000  # two megabytes
ASKED = []  # (page, authorization) of each request


class _Site(http.server.BaseHTTPRequestHandler):
    """Pages for each thing that may happen."""

    def do_GET(self):
        ASKED.append((self.path, self.headers.get("Authorization")))
        path = self.path.partition("?")[0]
        if path == "/away":
            self.send_response(302)
            self.send_header("Location", "/a%20clip.mp4")
            self.end_headers()
            return
        if path.startswith("/trap"):
            self.send_response(302)
            scheme = path.rpartition("/")[2]
            self.send_header("Location", f"{scheme}:///etc/passwd")
            self.end_headers()
            return
        if path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if path != "/endless":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if path == "/cut" else None])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _anew(tmp_path, monkeypatch):
    """A folder of the test's own, and nothing fetched yet."""
    folder = tmp_path / "fetched"
    folder.mkdir()
    monkeypatch.setattr(fetching, "_folder", lambda: folder)
    fetched = functools.cache(fetching.fetched.__wrapped__)
    monkeypatch.setattr(fetching, "fetched", fetched)


@pytest.mark.parametrize("page", ["a%20clip.mp4", "away"])
def test_a_video_is_fetched_whole(site, page):
    path = fetching.fetched(f"http://{site}/{page}")
    assert path.read_bytes() == CONTENT
    assert path.name == {"away": "away"}.get(page, "a_clip.mp4")


def test_an_address_is_fetched_once(site):
    ASKED.clear()
    one, two = (fetching.fetched(f"http://{site}/b.mp4") for _ in range(2))
    assert one == two and len(ASKED) == 1


def test_user_and_password_are_sent_and_never_shown(site):
    address = f"http://jo:se%40cret@{site}/missing?token=hidden"
    with pytest.raises(VideoError, match="404|Not Found") as refused:
        fetching.fetched(address)
    assert "se@cret" not in str(refused.value)
    assert "se%40cret" not in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert ASKED[-1] == (
        "/missing?token=hidden",
        "Basic am86c2VAY3JldA==",  # jo:se@cret
    )


@pytest.mark.parametrize("page", ["large.mp4", "endless"])
def test_the_size_is_bounded_before_and_while_it_comes(site, page, monkeypatch):
    monkeypatch.setenv(limits.DOWNLOAD, "1")
    with pytest.raises(VideoError, match=f"more than 1 MB.*{limits.DOWNLOAD}"):
        fetching.fetched(f"http://{site}/{page}")
    assert not list(Path(fetching._folder()).iterdir())


def test_a_download_that_breaks_off_is_no_video(site):
    with pytest.raises(VideoError, match="Cannot read"):
        fetching.fetched(f"http://{site}/cut")
    assert not list(Path(fetching._folder()).iterdir())


@pytest.mark.parametrize("scheme", ["file", "ftp"])
def test_a_redirection_leads_to_no_other_kind_of_address(site, scheme):
    with pytest.raises(VideoError, match=f"(?i)redirect.*{scheme}:///etc"):
        fetching.fetched(f"http://{site}/trap/{scheme}")


def test_an_address_without_a_server_is_an_error():
    with pytest.raises(VideoError, match="Check the address"):
        fetching.fetched("http://127.0.0.1:9/a.mp4")


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("https://host/a.mp4", True),
        ("HTTP://host/a.mp4", True),
        ("rtsp://host/a", False),
        ("video.mp4", False),
        (3, False),
    ],
)
def test_addresses_are_told_from_paths(source, answer):
    assert fetching.is_address(source) == answer


def test_an_address_that_is_none_is_a_message_without_its_password():
    address = "http://user:secret@[::1/a.mp4"
    with pytest.raises(VideoError, match=r"http://\.\.\.: Invalid IPv6") as no:
        fetching.fetched(address)
    assert "secret" not in str(no.value)
    with pytest.raises(VideoError, match=r"Cannot open http://\.\.\."):
        next(live.arrivals(live.Line(address)))
