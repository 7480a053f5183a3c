"""`extract`, `doctor` and `bench-data` from the command line."""

import errno
import json

import pytest
from click.testing import CliRunner

from keras_twostream import actors, cli

SMALL = ("--spec", "short_side=32", "--spec", "crop=[24, 24]")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name in ("wave_hand", "sit_down"):
        (folder / name).mkdir()
        actors.write_clip(folder / name / "a.mp4", name, size=(48, 64))
    return folder


@pytest.fixture(scope="module")
def cache(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("cache")
    result = run("extract", videos, out, *SMALL, "--workers", 1, "--json")
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def run(*arguments):
    return CliRunner().invoke(cli.group, [str(item) for item in arguments])


def test_extract_says_what_it_did(cache):
    out, document = cache
    assert document["extracted"] == ["sit_down/a.mp4", "wave_hand/a.mp4"]
    assert document["flows"] == document["frames"] - 2 > 0
    assert document["failed"] == [] and document["stopped"] is None
    assert document["contract"]["bits"] == 16
    assert document["contract"]["short_side"] == 32
    assert (out / "sit_down" / "a.mp4.safetensors").exists()


def test_extract_goes_on_where_it_was(videos, cache):
    result = run("extract", videos, cache[0], *SMALL)
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "0 videos extracted" in words
    assert "2 were there already, 0 failed" in words


def test_extract_refuses_another_contract(videos, cache):
    result = run("extract", videos, cache[0], *SMALL, "--flow", "farneback")
    assert result.exit_code == 2
    words = " ".join(result.stderr.split())
    assert "flow_algorithm='dis', and flow_algorithm='farneback'" in words


def test_extract_on_a_full_disk_is_status_two(videos, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("keras_twostream._files.os.replace", full)
    monkeypatch.setattr("keras_twostream._files.os.link", full)
    result = run("extract", videos, tmp_path / "out", "--workers", "1", *SMALL)
    assert result.exit_code == 2
    assert "No space left" in result.stderr or "is full" in result.stderr


def test_extract_names_what_failed(videos, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    result = run("extract", broken, tmp_path / "out", "--json", *SMALL)
    assert result.exit_code == 1
    (failure,) = json.loads(result.stdout)["failed"]
    assert failure["source"] == str(broken)
    assert "not a video file" in failure["reason"]
    assert failure["reason"] in result.stderr


def test_extract_keeps_one_stream(videos, tmp_path):
    single = videos / "sit_down" / "a.mp4"
    options = (*SMALL, "--streams", "flow", "--bits", 8, "--encoding", "png")
    result = run("extract", single, tmp_path, "--json", *options)
    contract = json.loads(result.stdout)["contract"]
    assert contract["streams"] == ["flow"]
    assert (contract["bits"], contract["flow_encoding"]) == (8, "png")


def test_doctor_passes_what_is_healthy(cache, videos):
    for path in (cache[0], videos):
        result = run("doctor", path)
        assert "No problem was found." in result.stdout, result.stdout


def test_doctor_fails_what_is_not(videos, cache, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.touch()
    result = run("doctor", tmp_path)
    assert result.exit_code == 1
    assert "Problem: Cannot read" in result.stdout
    assert str(broken) in result.stdout
    assert "Replace the file" in result.stdout


def test_doctor_speaks_json(cache):
    document = json.loads(run("doctor", cache[0], "--json").stdout)
    assert document["layout"] == "packed cache"
    assert document["healthy"] is True
    assert document["facts"]["videos"] == 2


def test_bench_says_where_the_time_goes(videos, cache):
    pytest.importorskip("tensorflow")
    options = ("--batches", 2, "--batch-size", 2, "--step", 0.01, *SMALL)
    result = run("bench-data", videos, "--cache", cache[0], "--json", *options)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert set(document["parts"]) == {"open", "frames", "flow", "crop"}
    assert document["clips_per_second"] > 0
    assert document["processor_seconds_per_clip"] > 0
    assert 0 <= document["waiting"] < 1
    words = run("bench-data", cache[0], *options).stdout
    assert "clips/s" in words and "waits" in words


@pytest.mark.filterwarnings("ignore:Set aside")
def test_bench_passes_over_what_training_passes_over(videos, tmp_path):
    pytest.importorskip("tensorflow")
    table = tmp_path / "list.txt"
    (tmp_path / "broken.mp4").write_text("no video")
    options = ("--batches", 1, "--batch-size", 1, "--json", *SMALL)
    table.write_text(f"broken.mp4 0\n{videos}/sit_down/a.mp4 1\n")
    result = run("bench-data", table, *options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["parts"]["crop"] > 0
    table.write_text("broken.mp4 0\n")
    result = run("bench-data", table, *options)
    assert result.exit_code == 2
    assert "None of the 1 videos that were tried can be read" in result.stderr
