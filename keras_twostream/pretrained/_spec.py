"""The description of a published weight: location, content and licence."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_twostream._printing import is_printable, printable
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained._bounds import check_sizes
from keras_twostream.spec import STREAMS

ORIGINS = ("trained", "converted", "inflated")
TASKS = ("recognition", "detection")
OURS = "keras_twostream"
UNSPECIFIED = "unspecified"  # licence, or terms of the data

DETECTORS = ("action_tubes",)
_NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_HEX = {
    "revision": "{40}",
    "sha256": "{64}",
    "sha1": "{40}",
    "git_blob": "{40}",
    "sha256_prefix": "{8,63}",
}
# PyTorch's and OpenMMLab's files bear the start of their hash.
_NAMED_HASH = re.compile(r"-([0-9a-f]{8,63})\.pth?$")


class _Pinned:
    """The hashes that pin a file's bytes."""

    filename: str
    sha256: str
    sha1: str
    git_blob: str
    sha256_prefix: str

    @property
    def digest(self) -> str:
        """Return the strongest known whole hash, as "sha1:405f...", or ""."""
        for kind in ("sha256", "sha1", "git_blob"):
            if value := getattr(self, kind):
                return f"{kind}:{value}"
        return ""

    @property
    def prefix(self) -> str:
        """Return the first digits of the sha256, if no more is known.

        Stated, or in the file's name, as in resnet50-0676ba61.pth.
        """
        if self.digest or self.sha256_prefix:
            return "" if self.digest else self.sha256_prefix
        match = _NAMED_HASH.search(self.filename)
        return match[1] if match else ""


@dataclasses.dataclass(frozen=True)
class WeightFile(_Pinned):
    """One file of a weight, pinned by its hash.

    Attributes:
        filename: Path inside the repository, or the last part of the URL.
        url: An https:// address, http:// where the publisher has no other,
            or "" for a file of the Hub repository.
        sha256: 64 hex digits, or "" where only checksums inside the file
            protect it (TensorFlow checkpoints: a CRC32C per tensor), or
            where nobody has stated it.
        size: Bytes, or 0 where unknown.
        stream: The stream it belongs to, or "" for all.
        sha1: 40 hex digits, where the publisher states this older hash.
        git_blob: 40 hex digits, git's own name for the file's content.
        sha256_prefix: The first 8 digits or more, where no more is known: a
            weak pin.
    """

    filename: str
    url: str = ""
    sha256: str = ""
    size: int = 0
    stream: str = ""
    sha1: str = ""
    git_blob: str = ""
    sha256_prefix: str = ""

    @property
    def needs_flag(self) -> bool:
        """Return whether the file could be changed unseen on its way."""
        return self.url.startswith("http://") and not self.digest


@dataclasses.dataclass(frozen=True)
class WeightSpec(_Pinned):
    """A published weight, pinned to its bytes where they are known.

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
        url: https:// address of a file that is not on the Hub; http:// where
            the publisher has no other.
        folder: Local folder that holds the file.
        sha256: SHA-256 of the file, 64 hex digits; "" needs `weights lock`.
        sha1: SHA-1 of the file, where the publisher states this older hash.
        git_blob: Git's own name for the file's content.
        sha256_prefix: First 8 digits or more of the sha256: a weaker pin.
        size: Size of the file in bytes; 0 needs `weights lock`.
        files: Further files, where one weight needs several.
        layout: Names of the tensors in the file: those of "keras_twostream",
            or a key map such as "torchvision_resnet".
        options: The builder's arguments the weights were made with.
        classes: Names of the head's classes, or None.
        head_classes: Names of the classes of each head, by data set, where
            there are several heads.
        head_trained: Whether the head in the file is of use as it is.
        multi_label: Whether a video may show several of the classes.
        clip_spec: Fields of the ClipSpec that differ from the builder's.
        adaptation: Conversion of foreign tensors: `time` (see `inflate`),
            `channels` (see `cross_modality`), and patterns of those that stay
            `fresh`, always or where `widened`, and of `unused` ones.
        metrics: Results, each with data set, split and protocol, and whether
            its `source` is "published" or "measured" here.
        paper: Publication of the weights.
        base: The weights they were made from.
        default: Whether `load(architecture)` means this weight.
        address_inferred: Whether nobody has seen its address: it was
            concluded from those of its publisher's other files.
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
    sha1: str = ""
    git_blob: str = ""
    sha256_prefix: str = ""
    size: int = 0
    files: tuple[WeightFile, ...] = ()
    layout: str = OURS
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    head_classes: Mapping[str, Sequence[str]] = dataclasses.field(
        default_factory=dict
    )
    head_trained: bool = False
    multi_label: bool = False
    clip_spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    adaptation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()
    paper: str = ""
    base: str = ""
    default: bool = False
    address_inferred: bool = False
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
        """The address of the file's source."""
        if self.folder:
            return f"local:{self.folder}"
        if self.repo_id:
            at = f"@{self.revision}" if self.revision else ""
            return f"hf://{self.repo_id}{at}"
        return self.url or self.files[0].url

    @property
    def data(self) -> str:
        """The data they were trained on, as "UCF-101, split 1"."""
        return self.data_terms.partition(":")[0]

    @property
    def task(self) -> str:
        """The task: "recognition" of actions, or "detection"."""
        return "detection" if self.architecture in DETECTORS else "recognition"

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams there are weights for, as the builder orders them."""
        stated = self.options.get("streams") or [
            stream
            for stream in STREAMS
            if stream in {file.stream for file in self.files}
        ]
        return tuple(stated or STREAMS)

    @property
    def num_classes(self) -> int:
        """Classes of the trained heads; 0 without one, or where unknown."""
        if not self.head_trained:
            return 0
        if self.heads:
            return sum(self.heads.values())
        return len(self.classes or ()) or self.options.get("num_classes", 0)

    @property
    def heads(self) -> dict[str, int]:
        """Classes of each head by data set; empty where it has just one."""
        stated = self.options.get("heads")
        return dict(stated) if isinstance(stated, Mapping) else {}

    @property
    def all_files(self) -> tuple[WeightFile, ...]:
        """The weight's main file, if it has one, then the further ones."""
        if not (self.folder or self.repo_id or self.url):
            return self.files
        main = WeightFile(
            self.filename,
            self.url,
            self.sha256,
            self.size,
            sha1=self.sha1,
            git_blob=self.git_blob,
            sha256_prefix=self.sha256_prefix,
        )
        return (main, *self.files)

    @property
    def pin(self) -> str:
        """The strength of the pin on the file's bytes.

        "whole hash", "part of it"; or "first download": no hash is known,
        the first download's is recorded, and later ones are held to it.
        """
        pins = [_pin(self, file) for file in self.all_files]
        return max(pins, key=_PINS.index)

    @property
    def needs_flag(self) -> bool:
        """Return whether it comes unencrypted and unpinned (`--allow-http`)."""
        return any(file.needs_flag for file in self.all_files)

    @property
    def locked(self) -> bool:
        """Return whether revision and hash are pinned."""
        pinned = bool(self.revision) if self.repo_id else True
        return pinned and self.pin == _WHOLE


_WHOLE, _PART, _FIRST = "whole hash", "part of it", "first download"
_PINS = (_WHOLE, _PART, _FIRST)  # the weakest last


def _pin(spec: WeightSpec, file: WeightFile) -> str:
    # A checkpoint's pinned index holds the checksums of its data file.
    checked = {other.stream for other in spec.files if other.sha256}
    if file.digest or spec.folder or (file.stream and file.stream in checked):
        return _WHOLE
    return _PART if file.prefix else _FIRST


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
    _check_heads(spec)
    check_sizes(spec.name, spec.options, spec.clip_spec)
    for field, length in _HEX.items():
        _check_hex(spec.name, field, getattr(spec, field), length)
    for file in spec.files:
        for field in ("sha256", "sha1", "git_blob", "sha256_prefix"):
            _check_hex(spec.name, field, getattr(file, field), _HEX[field])


def _check_heads(spec: WeightSpec) -> None:
    for head, names in spec.head_classes.items():
        listed = isinstance(names, list | tuple)
        texts = listed and all(
            isinstance(name, str) and is_printable(name) for name in names
        )
        if not texts or spec.heads.get(head) != len(names):
            raise WeightsError(
                f"`head_classes` of {spec.name} must name as many classes as "
                f"each of its heads has: {spec.heads}. Received: "
                f"{printable(head)!r}, {printable(names)[:80]}"
            )


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
        if url and not url.startswith(("https://", "http://")):
            raise WeightsError(
                f"The url of {spec.name} must start with https://, or with "
                "http:// where its publisher has no other. "
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


def _check_hex(name: str, field: str, value: str, length: str) -> None:
    if value and not re.fullmatch(rf"[0-9a-f]{length}", value):
        count = length.strip("{}").replace(",", " to ")
        raise WeightsError(
            f"`{field}` of {name} must be {count} lower-case hex digits. "
            f"Received: {value!r}"
        )
