"""Pins of files: a hash, a part of one, or the first download."""

import dataclasses
import hashlib
import http.server
import json
import threading

import pytest
from click.testing import CliRunner
from https_site import file_handler

from keras_twostream import pretrained
from keras_twostream.cli._weights import weights_command
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    WeightFile,
    WeightSpec,
    _catalogue,
    _maintenance,
    _sources,
    _verify,
    _web_files,
)

BODY, OTHER = b"tensors" * 99, b"changed" * 99
SHA256 = hashlib.sha256(BODY).hexdigest()
SHA1 = hashlib.sha1(BODY).hexdigest()


@pytest.fixture
def plain_site(caches):
    """An http:// address, and the bodies by path that it serves."""
    files = {"/net.pth": BODY}
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), file_handler(files)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield files, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def row(url, **pins):
    return WeightSpec(
        name="tiny.web",
        url=f"{url}/net.pth",
        filename="net.pth",
        license="mit",
        data_terms="none",
        origin="trained",
        **pins,
    )


@pytest.mark.parametrize("pin", [{"sha256": SHA256}, {"sha1": SHA1}])
def test_a_known_hash_makes_the_way_safe(plain_site, pin):
    files, url = plain_site
    spec = row(url, **pin)
    assert (spec.pin, spec.locked) == ("whole hash", True)
    [file] = _sources.local_files(spec)
    assert file.path.read_bytes() == BODY
    files["/net.pth"] = OTHER
    kind = next(iter(pin))
    with pytest.raises(WeightsError, match=f"received {kind} "):
        _sources.local_files(spec, force=True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_only_a_plain_address_may_lead_to_plain_ones(scheme, monkeypatch):
    row = dict(license="mit", data_terms="ours", origin="converted")
    spec = WeightSpec("i3d.any", url=f"{scheme}://a/b", **row)
    asked = {}
    monkeypatch.setattr(
        _web_files, "fetch", lambda url, **options: asked.update(options)
    )
    _sources._fetched(spec, spec.all_files[0], False)
    assert asked["plain"] == (scheme == "http")


@pytest.mark.parametrize("pin", [{}, {"sha256_prefix": SHA256[:8]}])
def test_a_plain_address_without_a_hash_needs_a_flag(plain_site, pin):
    _, url = plain_site
    spec = row(url, **pin)
    with pytest.raises(WeightsError, match=r"pull --allow-http tiny\.web"):
        _sources.local_files(spec)
    assert not _web_files.is_cached(spec.url)
    [fetched] = _sources.local_files(spec, allow_http=True)
    # Once it is here it is held to its hash, and may be loaded.
    assert _sources.local_files(spec) == [fetched]


def test_the_first_download_is_recorded_and_held_to(plain_site):
    files, url = plain_site
    spec = row(url)
    assert (spec.pin, spec.locked) == ("first download", False)
    _sources.local_files(spec, allow_http=True)
    [record] = (_verify.cache_folder() / "first_downloads").iterdir()
    facts = json.loads(record.read_text())
    assert facts["sha256"] == SHA256
    assert facts["size"] == len(BODY)
    files["/net.pth"] = OTHER
    with pytest.raises(WeightsError, match="gave other bytes on 20") as error:
        _sources.local_files(spec, force=True, allow_http=True)
    assert SHA256 in str(error.value)
    assert f"delete {record}" in str(error.value)
    record.unlink()
    _sources.local_files(spec)
    assert json.loads(record.read_text())["sha256"] != SHA256


def test_eight_digits_are_checked_and_shown_as_weaker(plain_site):
    _, url = plain_site
    good = row(url, sha256_prefix=SHA256[:8])
    assert (good.pin, good.locked) == ("part of it", False)
    _sources.local_files(good, allow_http=True)
    wrong = dataclasses.replace(good, sha256_prefix="0" * 8)
    with pytest.raises(WeightsError, match=r"expected sha256 00000000\.\.\."):
        _sources.local_files(wrong, allow_http=True)


def test_the_weakest_file_counts():
    base = row("https://x")
    whole = WeightFile("a.pth", "https://x/a.pth", SHA256, stream="rgb")
    part = WeightFile("b-01234567.pth", "https://x/b.pth", stream="flow")
    none = WeightFile("c.pth", "https://x/c.pth", stream="flow")
    for files, pin in (
        ((whole,), "whole hash"),
        ((whole, part), "part of it"),
        ((whole, part, none), "first download"),
        # A checkpoint's index holds the checksums of its data.
        ((whole, dataclasses.replace(none, stream="rgb")), "whole hash"),
    ):
        spec = dataclasses.replace(base, url="", files=files)
        assert spec.pin == pin


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        ({}, "sha256 (until then the first download's is held to)"),
        ({"sha1": SHA1}, "sha256 (its sha1 is known)"),
        ({"sha256_prefix": SHA256[:8]}, "sha256 (8 digits of it are known)"),
        ({"sha256": SHA256, "size": 3}, None),
    ],
)
def test_verify_says_what_stands_in_for_a_pin(pins, said):
    spec = dataclasses.replace(
        pretrained.weight_spec("i3d.imagenet"),
        filename="net.pth", url="https://x/net.pth", **pins,
    )  # fmt: skip
    unlocked = _maintenance.verify_row(spec).unlocked
    assert unlocked == ((said, "size") if said else ())


def test_lock_fills_the_hash_in(plain_site):
    _, url = plain_site
    locked = _maintenance.lock_row(row(url), allow_http=True)
    assert (locked.sha256, locked.size) == (SHA256, len(BODY))
    assert locked.pin == "whole hash"


def test_the_index_of_a_checkpoint_pins_its_data():
    """It holds the data's checksums, see `WeightSpec.pin`."""
    index, data = (
        WeightFile(f"rgb.{name}", f"https://a/{name}", sha256, 9, stream="rgb")
        for name, sha256 in (("index", "0" * 64), ("data", ""))
    )
    row = dict(license="mit", data_terms="ours", origin="converted")
    spec = WeightSpec("i3d.any", files=(index, data), **row)
    assert list(_maintenance._unlocked(spec)) == []
    flow = dataclasses.replace(data, stream="flow")
    spec = dataclasses.replace(spec, files=(index, flow))
    (lacking,) = _maintenance._unlocked(spec)
    assert lacking.startswith("sha256 of rgb.data")


@pytest.mark.parametrize("field", ["sha1", "sha256_prefix"])
def test_a_pin_of_another_length_is_refused(field):
    with pytest.raises(WeightsError, match=f"`{field}` of tiny.web must be"):
        row("https://x", **{field: "abc"})


def test_the_command_line_has_the_flag(plain_site, monkeypatch):
    _, url = plain_site
    spec = dataclasses.replace(row(url), name="i3d.plain")
    monkeypatch.setattr(_catalogue, "_registered", {})
    pretrained.register_weights(spec)
    run = CliRunner().invoke
    for command in (["pull", spec.name], ["verify", "--online", spec.name]):
        result = run(weights_command, command)
        assert result.exit_code == 1
        assert "--allow-http i3d.plain" in result.output + result.stderr
        result = run(weights_command, [*command, "--allow-http"])
        assert result.exit_code == 0, result.output
        for kept in (_verify.cache_folder() / "files").iterdir():
            kept.unlink()
