"""The page in a browser: real clicks, a real answer, nothing else readable."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest

from keras_twostream import actors, web
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.full
pytest.importorskip("gradio")

SHIPPED = "spatiotemporal_resnet.actors"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def address():
    with web.serving([SHIPPED], limits=web.Limits(seconds=10)) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.goto(address)
    yield page
    page.close()


def test_a_dropped_video_is_named(tab, tmp_path):
    video = tmp_path / "an_actor.mp4"
    actors.write_clip(video, "wave_hand", seed=3, split="test")
    tab.set_input_files("input[type=file]", str(video))
    tab.get_by_role("button", name="Name the actions").wait_for()
    tab.locator("video").first.wait_for()
    tab.get_by_role("button", name="Name the actions").click()
    title = tab.locator("#title h2")
    title.wait_for(timeout=180_000)
    assert title.inner_text().startswith("wave hand,")
    assert tab.locator("video").count() == 2
    tab.locator("img[src*='sheet']").wait_for()


def test_the_page_shows_where_each_stream_looks(tab, tmp_path):
    video = tmp_path / "an_actor.mp4"
    actors.write_clip(video, "wave_hand", seed=3, split="test")
    tab.set_input_files("input[type=file]", str(video))
    tab.locator("video").first.wait_for()
    tab.get_by_role("button", name="Show where each stream looks").click()
    title = tab.locator("#reasons h3")
    title.wait_for(timeout=180_000)
    assert title.inner_text().startswith("Why wave hand? Shares of its score:")
    tab.locator("img[src*='reasons']").wait_for()
    tab.locator("video[src*='reasons']").wait_for()


def test_a_broken_video_is_a_message(tab, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 100)
    tab.set_input_files("input[type=file]", str(broken))
    tab.locator("video").first.wait_for(state="attached")
    tab.get_by_role("button", name="Name the actions").click()
    toast = tab.get_by_text("Cannot read")
    toast.wait_for(timeout=60_000)
    assert "broken.mp4" in toast.inner_text()
    assert "keras_twostream_web_" not in toast.inner_text()  # its folder


def test_no_video_is_a_message(tab):
    tab.get_by_role("button", name="Name the actions").click()
    tab.get_by_text("Choose a video").wait_for(timeout=60_000)


@pytest.mark.parametrize("route", ["gradio_api/file=", "file="])
def test_files_of_the_server_are_not_served(address, tmp_path, route):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    place = urllib.parse.quote(str(secret))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}{route}{place}")
    assert refused.value.code in (403, 404)


def test_a_path_of_the_server_is_no_video(address, tmp_path):
    secret = tmp_path / "secret.mp4"
    actors.write_clip(secret, "wave_hand", seed=3, split="test")
    answer = said(address, [{"path": str(secret)}, SHIPPED])
    assert "error" in answer and "wave" not in answer


def said(address, inputs):
    """Ask the button's function as the page's own script does."""
    ask = {
        "data": inputs,
        "fn_index": 0,
        "session_hash": "a_session",
        "event_data": None,
        "trigger_id": None,
    }
    request = urllib.request.Request(
        f"{address}gradio_api/queue/join",
        json.dumps(ask).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).read()
    stream = f"{address}gradio_api/queue/data?session_hash=a_session"
    return urllib.request.urlopen(stream).read().decode()


def test_a_port_that_is_taken_is_a_message(address):
    port = urllib.parse.urlsplit(address).port
    with (
        pytest.raises(SpecError, match=f"Cannot serve at 127.0.0.1:{port}"),
        web.serving([SHIPPED], port=port),
    ):
        pass


def test_a_host_of_another_machine_is_a_message():
    with (
        pytest.raises(SpecError, match=r"Cannot serve at 192\.0\.2\.1: "),
        web.serving([SHIPPED], host="192.0.2.1"),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGTERM")
def test_a_service_that_is_ended_leaves_no_files(tmp_path):
    words = ["-m", "keras_twostream", "web", "--model", SHIPPED]
    with subprocess.Popen(
        [sys.executable, *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as page:
        line = page.stderr.readline()
        kept = list(tmp_path.glob("keras_twostream_web_*"))
        page.send_signal(signal.SIGTERM)
        page.communicate(timeout=60)
    assert "Ctrl-C ends it" in line
    assert kept and not kept[0].exists()
