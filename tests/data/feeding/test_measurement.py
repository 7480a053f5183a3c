"""`bench-data`: calls that are wrong are refused before anything is read."""

import pytest
from click.testing import CliRunner

from keras_twostream import ClipSpec, cli
from keras_twostream.errors import SpecError

pytest.importorskip("tensorflow")


def refusal(*options):
    result = CliRunner().invoke(cli.group, ["bench-data", ".", *options])
    assert result.exit_code == 2
    return result.stderr


@pytest.mark.parametrize("option", ["--batch-size", "--batches"])
def test_none_of_something_is_refused(option):
    assert "0 is not in the range x>=1" in refusal(option, "0")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("keras_twostream.training.has_gpu", lambda: False)
    assert "There is no GPU" in refusal("--device", "gpu")


def test_no_batches_cannot_be_timed():
    from keras_twostream.data.feeding import measurement

    with pytest.raises(SpecError, match="`batches` must be a whole"):
        measurement.measure(None, ClipSpec(), batches=0)
