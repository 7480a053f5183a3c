"""What a published weight is: where it lies, what it holds, whose it is."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained._bounds import check_sizes

ORIGINS = ("trained", "converted", "inflated")
OURS = "keras_twostream"

_NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_HEX = {"revision": 40, "sha256": 64}


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """One file of a weight, pinned by its hash.

    Attributes:
        filename: Path inside the repository, or the last part of the URL.
        url: An https:// address, or "" for a file of the Hub repository.
        sha256: 64 hex digits, or "" where only checksums inside the file
            protect it (TensorFlow checkpoints: a CRC32C per tensor).
        size: Bytes, or 0 where unknown.
        stream: The stream it belongs to, or "" for all.
    """

    filename: str
    url: str = ""
    sha256: str = ""
    size: int = 0
    stream: str = ""


@dataclasses.dataclass(frozen=True)
class WeightSpec:
    """A published weight, pinned to its bytes.

    `dataclasses.replace(spec, name=..., repo_id=...)` of a built-in one makes
    a new one that `register_weights` accepts; of one that does not lie on the
    Hub, `url`, `folder` and `files` must be emptied too.

    Attributes:
        name: "architecture.tag", as `load` takes it.
        license: SPDX identifier of the weights.
        data_terms: Terms of the data they were trained on.
        origin: "trained" by this library, "converted" from other software,
            or "inflated" from images to video.
        repo_id: Hub repository, "user/name"; "" for other sources.
        revision: Commit of that repository, 40 hex digits.
        filename: The file in it.
        url: https:// address of a file that is not on the Hub.
        folder: Local folder that holds the file.
        sha256: Of the file, 64 hex digits; "" needs `weights lock`.
        size: Of the file in bytes; 0 needs `weights lock`.
        files: Further files, where one weight needs several.
        layout: Whose names the tensors in the file have: "keras_twostream",
            or a key map such as "torchvision_resnet".
        options: The builder's arguments the weights were made with.
        classes: Names of the head's classes, or None.
        head_trained: Whether the head in the file is of use as it is.
        multi_label: Whether a video may show several of the classes.
        clip_spec: Fields of the ClipSpec that differ from the builder's.
        adaptation: How foreign tensors become ours: `time` (see `inflate`),
            `channels` (see `cross_modality`), and patterns of those that stay
            `fresh`, always or where `widened`, and of `unused` ones.
        metrics: Results, each with data set, split and protocol.
        paper: Where the weights were published.
        base: The weights they were made from.
        default: Whether `load(architecture)` means this weight.
        note: One sentence for `list_weights`.
        provider: The package that registered it.
    """

    name: str
    license: str
    data_terms: str
    origin: str
    repo_id: str = ""
    revision: str = ""
    filename: str = "model.safetensors"
    url: str = ""
    folder: str = ""
    sha256: str = ""
    size: int = 0
    files: tuple[WeightFile, ...] = ()
    layout: str = OURS
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    head_trained: bool = False
    multi_label: bool = False
    clip_spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    adaptation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()
    paper: str = ""
    base: str = ""
    default: bool = False
    note: str = ""
    provider: str = OURS

    def __post_init__(self) -> None:
        _check(self)

    @property
    def architecture(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]

    @property
    def tag(self) -> str:
        """The part of the name after the dot."""
        return self.name.partition(".")[2]

    @property
    def source(self) -> str:
        """Where the file comes from, as an address."""
        if self.folder:
            return f"local:{self.folder}"
        if self.repo_id:
            at = f"@{self.revision}" if self.revision else ""
            return f"hf://{self.repo_id}{at}"
        return self.url or self.files[0].url

    @property
    def locked(self) -> bool:
        """Whether revision and hash are pinned."""
        pinned = bool(self.revision) if self.repo_id else True
        return pinned and bool(self.sha256 or self.files)


# === Checks ===


def _check(spec: WeightSpec) -> None:
    if not _NAME.fullmatch(spec.name):
        raise WeightsError(
            "A weight's name must be architecture.tag, in lower-case "
            f"letters, digits and underscores. Received: {spec.name!r}"
        )
    for field in ("license", "data_terms"):
        if not getattr(spec, field):
            raise WeightsError(
                f"The weight {spec.name} needs `{field}`: who may use it, "
                "and under which terms its training data stood."
            )
    if spec.origin not in ORIGINS:
        raise WeightsError(
            f"`origin` of {spec.name} must be one of {', '.join(ORIGINS)}. "
            f"Received: {spec.origin!r}"
        )
    _check_source(spec)
    check_sizes(spec.name, spec.options, spec.clip_spec)
    for field, length in _HEX.items():
        _check_hex(spec.name, field, getattr(spec, field), length)
    for file in spec.files:
        _check_hex(spec.name, "sha256", file.sha256, 64)


def _check_source(spec: WeightSpec) -> None:
    sources = [spec.repo_id, spec.url, spec.folder, *spec.files[:1]]
    if sum(map(bool, sources)) != 1:
        raise WeightsError(
            f"The weight {spec.name} needs exactly one source: repo_id, "
            "url, folder or files. Received: "
            f"repo_id={spec.repo_id!r}, url={spec.url!r}, "
            f"folder={spec.folder!r}, {len(spec.files)} files. Empty the "
            "others: repo_id='', url='', folder='', files=()."
        )
    for url in (spec.url, *(file.url for file in spec.files)):
        if url and not url.startswith("https://"):
            raise WeightsError(
                f"The url of {spec.name} must start with https://. "
                f"Received: {url!r}"
            )
    for filename in (spec.filename, *(file.filename for file in spec.files)):
        check_filename(spec.name, filename)


def check_filename(name: str, filename: str) -> None:
    """Refuse paths that would leave the repository's folder.

    Raises:
        WeightsError: If the path is absolute or has a part "..".
    """
    parts = filename.split("/")
    if not filename or "\\" in filename or {"", ".", ".."} & set(parts):
        raise WeightsError(
            f"The filename of {name} must be a relative path without '..'. "
            f"Received: {filename!r}"
        )


def _check_hex(name: str, field: str, value: str, length: int) -> None:
    if value and not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
        raise WeightsError(
            f"`{field}` of {name} must be {length} lower-case hex digits. "
            f"Received: {value!r}"
        )
