"""`export`: facts in words and as JSON, and refusals."""

import json
import warnings

import keras
import pytest
from click.testing import CliRunner
from small_model import small_model

from keras_twostream import cli, exporting, hub
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)


@pytest.fixture(autouse=True)
def _model(monkeypatch):
    monkeypatch.setattr(hub, "load", lambda name: small_model())


def run(*arguments):
    return CliRunner().invoke(cli.group, ["export", *map(str, arguments)])


def test_a_file_is_written_and_described(tmp_path):
    result = run("c3d.tested", tmp_path / "m.tflite", "--batch", 1)
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "m.tflite: litert, float32" in words
    assert "in rgb 1 x 2 x 24 x 24 x 3" in words
    assert "out probabilities 1 x 3" in words
    assert "Compared on a drawn actor, seed 0" in words
    assert (tmp_path / "m.tflite").stat().st_size > 1000


def test_json_states_format_inputs_and_difference(tmp_path):
    result = run("c3d.tested", tmp_path / "m", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["format"] == "saved_model"
    assert facts["inputs"]["flow"] == [None, 2, None, None, 4]
    assert facts["difference"] < 1e-4


def test_an_agreement_of_zero_is_said(tmp_path, monkeypatch):
    """It is the worst of all, and no number that is missing."""
    path = tmp_path / "m.tflite"
    facts = (path, "litert", "int8", 10**6, 0.01, 2.0, "frames", {}, {}, 0.0)
    exported = exporting.Exported(*facts)
    monkeypatch.setattr(exporting, "export", lambda *_, **__: exported)
    assert "0% of the calibration clips" in run("c3d.tested", path).stdout


def test_int8_without_videos_is_refused(tmp_path):
    result = run("c3d.tested", tmp_path / "m.tflite", "--precision", "int8")
    assert result.exit_code == 2
    assert "int8 needs `calibrate`" in result.stderr


def test_warnings_are_shown_without_those_of_converters(tmp_path, monkeypatch):
    def warn(model, path, **_):
        for text, file in (
            ("other flow", cli.__file__),
            ("old", "/tf/lite.py"),
        ):
            warnings.warn_explicit(text, UserWarning, file, 1, module="one")
        raise SpecError("stopped here")

    monkeypatch.setattr(exporting, "export", warn)
    result = run("c3d.tested", tmp_path / "m")
    assert result.exit_code == 2
    assert "Warning: other flow" in result.stderr
    assert "old" not in result.stderr
