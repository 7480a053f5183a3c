"""Broken or malicious files end in a clear error, and nothing else."""

import json
import pickle
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import keras_twostream as kts
from keras_twostream.errors import TwoStreamError, WeightsError
from keras_twostream.pretrained import (
    _bounds,
    _catalogue,
    _folder,
    _readers,
    _safetensors,
)

quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
fields = st.sampled_from([*_catalogue._RULES, "nonsense"])


@quick
@given(st.binary(max_size=200))
def test_any_bytes_as_toml_end_in_our_error(tmp_path, data):
    path = tmp_path / "weight.toml"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        _catalogue.read_row(path)


@quick
@given(st.dictionaries(fields, st.text(max_size=20) | st.integers()))
def test_any_values_in_a_row_are_read_or_refused(tmp_path, values):
    path = tmp_path / "weight.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        _catalogue.read_row(path)
    except TwoStreamError as error:
        assert str(error)


@quick
@given(st.binary(max_size=200))
def test_any_bytes_as_a_config_end_in_our_error(tmp_path, data):
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        _folder.read_config(path)


@quick
@given(key=st.sampled_from(sorted(_folder._FIELDS)), value=json_values)
def test_any_value_of_a_config_field_is_read_or_refused(folder, key, value):
    path = folder / "config.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), key: value}))
    try:
        kts.load(f"local:{folder}")
    except TwoStreamError as error:
        assert str(error)
    finally:
        path.write_text(before)


def config_of(folder, **changes):
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("depth", 10**9),
        ("width", 10**6),
        ("clip_length", 10**7),
        ("num_classes", 10**9),
        ("num_classes", 10**4000),
        ("heads", {"ucf101": 10**9}),
        ("clip_spec", {"crop": [10**6, 10**6]}),
        ("dropout", float("nan")),
        ("temporal_pool", float("-inf")),
    ],
)
def test_no_config_builds_a_huge_network(folder, option, value):
    config_of(
        folder, architecture="spatiotemporal_resnet", options={option: value}
    )
    field = {"clip_spec": "crop"}.get(option, option)
    with pytest.raises(WeightsError, match=f"`{field}` of .* must not be lar"):
        kts.load(f"local:{folder}")


def test_a_wrong_name_names_the_row(tmp_path):
    path = tmp_path / "weight.toml"
    path.write_text(
        'name = "c3,d.mine"\nlicense = "mit"\ndata_terms = "none"\n'
        'origin = "trained"\nrepo_id = "me/mine"\n'
    )
    with pytest.raises(WeightsError, match="weight.toml: A weight's name"):
        _catalogue.read_row(path)


def test_a_wrong_hash_names_the_folder(folder):
    config_of(folder, sha256="x" * 64)
    with pytest.raises(WeightsError, match="config.json of .*net: `sha256`"):
        kts.load(f"local:{folder}")


def test_a_long_clip_of_large_frames_is_too_much_together(folder):
    config_of(folder, clip_spec={"clip_length": 500, "crop": [500, 500]})
    with pytest.raises(WeightsError, match="`clip_length x crop`"):
        kts.load(f"local:{folder}")


sizes = st.integers() | st.floats() | st.integers(-(10**6), 10**6)


@quick
@given(
    st.dictionaries(
        st.sampled_from([*_bounds.LARGEST, "clip_spec", "other"]),
        sizes | st.lists(sizes) | st.dictionaries(st.text(), sizes),
    )
)
def test_options_that_pass_are_within_the_limits(options):
    if not isinstance(options.get("clip_spec", {}), dict):
        del options["clip_spec"]
    try:
        _bounds.check_sizes("any.weight", options, {})
    except WeightsError as error:
        assert "must not be larger" in str(error)
        return
    for field, value in _bounds._numbers("", options):
        limit = _bounds.LARGEST.get(field, _bounds.LARGEST_OTHER)
        assert -limit <= value <= limit


def test_a_row_of_a_huge_network_is_refused(tmp_path):
    path = tmp_path / "weight.toml"
    path.write_text(
        'name = "c3d.huge"\nlicense = "mit"\ndata_terms = "none"\n'
        'origin = "trained"\nrepo_id = "me/huge"\n'
        "[options]\nclip_length = 10000000\n"
    )
    with pytest.raises(WeightsError, match="`clip_length` of c3d.huge"):
        _catalogue.read_row(path)


def header(text, length=None, body=b""):
    data = text.encode()
    return struct.pack("<Q", len(data) if length is None else length) + (
        data + body
    )


def tensor(begin, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        header("{}", length=2**63),
        header("{}", length=2**40),
        header("[1, 2]"),
        header(json.dumps({"a": tensor(0, 8)})),
        header(
            json.dumps({"a": tensor(0, 8), "b": tensor(4, 12)}),
            body=b"x" * 12,
        ),
        header(json.dumps({"a": tensor(8, 0)}), body=b"x" * 8),
        header(json.dumps({"a": tensor(0, 8, (2**62, 4))}), body=b"x" * 8),
        header(json.dumps({"a": tensor(0, 8, (-2,))}), body=b"x" * 8),
        header("{" * 100_000),
    ],
)
def test_hostile_safetensors_are_refused(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        _safetensors.read(path)


@quick
@given(json_values, st.binary(max_size=30))
def test_any_header_of_safetensors_is_read_or_refused(tmp_path, values, body):
    path = tmp_path / "model.safetensors"
    path.write_bytes(header(json.dumps(values), body=body))
    try:
        _safetensors.read(path)
    except WeightsError as error:
        assert str(error)


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("pickled code was executed",)


def test_a_pickle_is_never_executed(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"state_dict": _Bomb()}))
    with pytest.raises(WeightsError, match="hold code are never opened"):
        _readers.read(path)


@pytest.mark.parametrize("kind", ["list", "Tensor"])
def test_tensors_without_names_are_refused(tmp_path, kind):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    tensor = torch.ones(2)
    torch.save([tensor] if kind == "list" else tensor, path)
    with pytest.raises(WeightsError, match=f"by name. Received: a {kind}"):
        _readers.read(path)


def test_bfloat16_and_parameters_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    half = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    torch.save({"half": half, "own": torch.nn.Parameter(torch.ones(1))}, path)
    read = _readers.read(path)
    assert read["half"].dtype == "float32"
    assert read["half"].tolist() == [1.5, -2.0]
    assert read["own"].tolist() == [1.0]


@pytest.mark.parametrize("kind", ["float8", "sparse", "quantised"])
def test_tensors_that_are_no_plain_arrays_are_named(tmp_path, kind):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    value = {
        "float8": lambda: torch.ones(2).to(torch.float8_e4m3fn),
        "sparse": lambda: torch.eye(2).to_sparse(),
        "quantised": lambda: torch.quantize_per_tensor(
            torch.ones(2), 0.1, 0, torch.qint8
        ),
    }[kind]()
    torch.save({"conv.weight": value}, path)
    with pytest.raises(WeightsError, match=f"{path}.*"):
        _readers.read(path)


def test_a_safetensors_type_that_numpy_lacks_is_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    header = json.dumps(
        {"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}
    ).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\x38\x38")
    with pytest.raises(WeightsError, match=f"{path}.*float8_e4m3"):
        _readers.read(path)


def test_a_huge_config_is_not_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b" " * (5 * 1024 * 1024))
    with pytest.raises(WeightsError, match="larger than"):
        _folder.read_config(path)
