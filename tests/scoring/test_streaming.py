"""Predictions of a stream: files at their own pace, and a network camera."""

import contextlib
import http.server
import io
import itertools
import re
import threading
import time
import types

import av
import keras
import numpy as np
import pytest
from PIL import Image
from small_model import SPEC, small_model

import keras_twostream as kts
from keras_twostream import errors, onnx_files
from keras_twostream.data.cutting import kept_flow, rolling
from keras_twostream.data.video import live
from keras_twostream.scoring import engines, predicting, streaming

FRAMES = 60


def pictures(count=FRAMES):
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    still = noise.repeat(6, axis=0).repeat(6, axis=1)
    return [np.roll(still, 2 * t, axis=1) for t in range(count)]


def written(path, rate=25, count=FRAMES, **options):
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("libx264", rate)
        stream.height, stream.width, stream.pix_fmt = 48, 72, "yuv420p"
        for image in pictures(count):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return written(tmp_path_factory.mktemp("stream") / "moving.mp4")


@pytest.fixture(scope="module")
def model():
    return small_model()


# === A file ===


def test_each_window_is_answered_as_predict_does(model, video):
    frames = np.stack(list(kts.data.iter_frames(video, rate=25)))
    answers = list(kts.stream(video, model, hop=0.4, pace=None))
    span = SPEC.span()
    begins = [round(25 * answer.windows[0, 0]) for answer in answers]
    assert begins == list(range(0, FRAMES - span + 1, 10))
    for begin, answer in zip(begins, answers, strict=True):
        alone = kts.predict(frames[begin : begin + span], model)
        np.testing.assert_allclose(
            answer.probabilities, alone.probabilities, atol=1e-4
        )
        np.testing.assert_allclose(
            answer.streams["flow"], alone.streams["flow"], atol=1e-4
        )
        assert answer.picture.shape == (48, 72, 3)
    assert answers[-1].dropped == 0


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or bool(onnx_files.missing()),
    reason="exported on TensorFlow, with ONNX's libraries",
)
def test_onnx_runtime_answers_alike(model, video, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TWOSTREAM_HOME", str(tmp_path))
    monkeypatch.setattr(engines, "_opened", {})
    result = {}
    for engine in ("auto", "onnxruntime"):
        answers = kts.stream(video, model, pace=None, engine=engine)
        result[engine] = next(answers)
        answers.close()
    assert result["auto"].engine == "keras"  # nothing was exported before
    assert result["onnxruntime"].engine == "onnxruntime"
    np.testing.assert_allclose(
        result["onnxruntime"].probabilities,
        result["auto"].probabilities,
        atol=1e-4,
    )


def test_an_unknown_engine_is_refused_before_the_source_is_opened(model):
    with pytest.raises(errors.SpecError, match="`engine` must be one of"):
        kts.stream("rtsp://nowhere", model, engine="onnx")


def test_flow_is_computed_once_for_each_pair(model, video, monkeypatch):
    pairs, compute = [], kept_flow.flow.compute_pairs

    def counted(frames, numbers, *arguments, **options):
        pairs.append(len(numbers))
        return compute(frames, numbers, *arguments, **options)

    monkeypatch.setattr(kept_flow.flow, "compute_pairs", counted)
    stream = kts.stream(video, model, hop=0.04, pace=None)
    answers = list(itertools.islice(stream, 15))
    # Two steps of two fields: all four are new in the first window, and in
    # the others the newest pair alone, as the third step has been the first.
    assert sum(pairs) == len(answers) - 1 + SPEC.span() - 1


def test_a_slow_network_drops_frames_and_is_not_late(model, video, monkeypatch):
    network = predicting.kept_scorer(model)
    answer = network.predict_on_batch

    def slowly(clip):
        time.sleep(0.15)
        return answer(clip)

    monkeypatch.setattr(network, "predict_on_batch", slowly)
    begun = time.monotonic()
    answers = list(kts.stream(video, model, hop=0.04, pace=3))
    took = time.monotonic() - begun
    # 2.4 s at three times the pace: 0.8 s, in which five fit, not 55.
    assert 2 <= len(answers) <= 12
    assert answers[-1].dropped > 10
    assert took < 3
    assert max(answer.latency for answer in answers) < 1
    ends = [answer.windows[0, 1] for answer in answers]
    assert ends == sorted(set(ends))


def test_numbers_of_work_and_delay_are_reported(model, video):
    answer = next(kts.stream(video, model, pace=None))
    line = answer.to_line(top=2)
    assert answer.latency > 0 and answer.ms_per_frame > 0
    assert len(line["top"]) == 2 and line["dropped"] == 0
    assert line["end"] - line["start"] == pytest.approx(SPEC.span() / 25)
    assert answer.motion.shape == (32, 48, 2)


def test_memory_stays_as_long_as_a_window(video):
    window = rolling.Rolling(SPEC)
    for image in kts.data.iter_frames(video, rate=25):
        window.push(window.fit(image))
        if window.is_full:
            window.clip(*window.snapshot())
    assert len(window.snapshot()[1]) == SPEC.span()
    assert len(window._flow._fields) <= SPEC.span()


# === A camera on the network ===


class Camera:
    """A camera that sends JPEG images over HTTP, and may go away."""

    def __init__(self, connections):
        self.connections = 0
        camera, images = self, [_jpeg(image) for image in pictures(40)]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                camera.connections += 1
                if camera.connections > connections:
                    self.send_error(503)
                    return
                self.send_response(200)
                kind = "multipart/x-mixed-replace; boundary=frame"
                self.send_header("Content-Type", kind)
                self.end_headers()
                with contextlib.suppress(OSError):
                    for image in images:
                        head = f"Content-Length: {len(image)}\r\n\r\n"
                        self.wfile.write(
                            b"--frame\r\nContent-Type: image/jpeg\r\n"
                            + head.encode()
                            + image
                            + b"\r\n"
                        )
                        time.sleep(0.02)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        port = self.server.server_address[1]
        self.address = f"http://user:secret@127.0.0.1:{port}/?key=secret"


def _jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def camera():
    opened = []

    def make(connections):
        opened.append(Camera(connections))
        return opened[-1]

    yield make
    for item in opened:
        item.server.shutdown()
        item.server.server_close()


def test_a_camera_that_goes_away_is_opened_again(model, camera, monkeypatch):
    monkeypatch.setattr(live, "_WAITS", (0.1, 0.2))
    network = camera(connections=2)
    answers = []
    with pytest.raises(errors.VideoError) as lost:
        for answer in kts.stream(
            network.address, model, hop=0.04, patience=1.0
        ):
            answers.append((network.connections, answer))
    assert {number for number, _ in answers} >= {1, 2}
    assert "Lost http://127.0.0.1" in str(lost.value)
    assert re.search(r"after 7\d|80 frames", str(lost.value))
    assert "secret" not in str(lost.value)
    assert all("secret" not in answer.source for _, answer in answers)
    ends = [answer.windows[0, 1] for _, answer in answers]
    assert ends == sorted(set(ends))


def test_a_source_that_never_was_is_no_loss(model, tmp_path):
    with pytest.raises(errors.VideoError, match=r"Cannot open http://127"):
        next(kts.stream("http://127.0.0.1:9/", model))
    with pytest.raises(errors.VideoError, match=r"gone\.mp4"):
        next(kts.stream(tmp_path / "gone.mp4", model))


def test_no_window_spans_a_loss():
    window = rolling.Rolling(SPEC)
    small = np.zeros((32, 48, 3), np.uint8)
    for _ in range(SPEC.span()):
        window.push(small)
    assert window.is_full
    window.skip(100)
    assert not window.is_full
    window.push(small)
    assert window.snapshot()[0] == window.newest == SPEC.span() + 100


def test_a_camera_that_was_turned_fills_its_window_anew():
    window = rolling.Rolling(SPEC)
    for _ in range(SPEC.span()):
        window.push(np.zeros((32, 48, 3), np.uint8))
    window.push(np.zeros((48, 32, 3), np.uint8))
    assert not window.is_full and len(window.snapshot()[1]) == 1


def test_no_window_spans_a_source_that_was_opened_again():
    image = np.zeros((32, 48, 3), np.uint8)
    buffer = streaming._Buffer(live.Line("http://camera/"), SPEC, None)
    for number in range(SPEC.span() + 1):
        joined = 0 < number < SPEC.span()
        arrival = live.Arrival(image, number / 25, 0.0, joined)
        for _ in buffer._pushed(arrival):
            pass
        assert buffer.rolling.is_full == (number == SPEC.span() - 1)


def test_waits_double_until_a_frame_comes(monkeypatch):
    there = [True, False, False, True, *[False] * 6]
    waits = []

    @contextlib.contextmanager
    def opened(line):
        if not there.pop(0):
            raise OSError("away")
        yield iter(pictures(1))

    monkeypatch.setattr(live, "_opened", opened)
    monkeypatch.setattr(live, "_sleep", lambda wait, _: waits.append(wait))
    line = live.Line("http://camera/", patience=100)
    frames = list(live.arrivals(line, lambda: not there))
    assert [frame.joined for frame in frames] == [False, False]
    assert waits == [0.5, 1, 2, 0.5, 1, 2, 4, 8, 8, 8]


def test_a_damaged_packet_is_passed_over():
    class Packet:
        def __init__(self, frames):
            self.frames = frames

        def decode(self):
            if not self.frames:
                raise av.InvalidDataError(1, "damaged")
            return self.frames

    container = types.SimpleNamespace(
        demux=lambda stream: map(Packet, ([1], [], [2, 3]))
    )
    assert list(live._undamaged(container, None)) == [1, 2, 3]


def test_seconds_begin_with_the_first_frame(tmp_path):
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", 25)
        stream.height, stream.width, stream.pix_fmt = 48, 72, "yuv420p"
        for number, image in enumerate(pictures(3)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = 100 + number  # the recording begins after 4 s
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).time > 3
    seconds = [x.second for x in live.arrivals(live.Line(path, pace=None))]
    np.testing.assert_allclose(seconds, [0, 0.04, 0.08], atol=2e-3)


def test_a_clock_that_steps_back_in_a_file_goes_on(tmp_path):
    """Two recordings joined: as `predict` reads them, frames and times."""
    part = written(tmp_path / "part.ts", count=10).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(part + part)
    arrived = list(live.arrivals(live.Line(path, pace=None)))
    frames = list(kts.data.iter_frames(path))
    assert len(arrived) == len(frames) == 20
    for arrival, frame in zip(arrived, frames, strict=True):
        np.testing.assert_array_equal(arrival.image, frame)
    seconds = [arrival.second for arrival in arrived]
    np.testing.assert_allclose(seconds, np.arange(20) / 25, atol=2e-3)


def test_a_model_of_every_rate_sees_a_file_at_its_own(tmp_path):
    video = written(tmp_path / "slow.mp4", rate=10, count=20)
    model = small_model(SPEC.replace(frame_rate=None))
    answers = list(kts.stream(video, model, hop=0.4, pace=None))
    frames, span = np.stack(list(kts.data.iter_frames(video))), SPEC.span()
    begins = range(0, 20 - span + 1, 4)
    for begin, answer in zip(begins, answers, strict=True):
        assert answer.windows[0, 0] == pytest.approx(begin / 10)
        alone = kts.predict(frames[begin : begin + span], model)
        np.testing.assert_allclose(
            answer.streams["flow"], alone.streams["flow"], atol=1e-4
        )


def test_a_playlist_is_refused(model, tmp_path):
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    with pytest.raises(errors.VideoError, match="list.m3u8"):
        next(kts.stream(path, model))


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("ftp://host/a.mp4", {}, "begins with rtsp"),
        (-1, {}, "number of a camera, 0 or more.*Received: int -1"),
        (True, {}, "number of a camera.*Received: bool"),
        (np.zeros((4, 32, 32, 3)), {}, "`predict` takes frames.*: ndarray$"),
        ("a.mp4", {"pace": 0}, "`pace` must be greater than 0"),
        ("a.mp4", {"pace": np.nan}, "`pace` must be greater than 0"),
        ("a.mp4", {"pace": "fast"}, "`pace` must be greater than 0"),
        ("a.mp4", {"patience": -1}, "`patience` must be 0 or more"),
        ("a.mp4", {"patience": "x"}, "`patience` must be 0 or more"),
        ("a.mp4", {"hop": 0}, "`hop` must be seconds"),
        ("a.mp4", {"seconds": 0}, "`seconds` must be seconds"),
        ("a.mp4", {"seconds": "10"}, "`seconds` must be seconds"),
    ],
)
def test_wrong_arguments_are_refused_at_once(model, source, options, message):
    with pytest.raises(errors.SpecError, match=message):
        kts.stream(source, model, **options)


def test_patience_may_be_endless():
    assert live.Line(0, patience=float("inf")).patience > 1e9


def test_an_untrained_head_is_refused():
    keras.utils.set_random_seed(0)
    with pytest.raises(errors.UntrainedHeadError):
        kts.stream(0, small_model(trained=False))
