"""A weight's files on this machine: fetched if need be, and verified."""

import dataclasses
import os
from collections.abc import Collection
from pathlib import Path

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _commit, _verify
from keras_twostream.pretrained._spec import WeightFile, WeightSpec
from keras_twostream.spec import STREAMS


@dataclasses.dataclass(frozen=True)
class LocalFile:
    """A verified file and the stream it belongs to ("" for all)."""

    path: Path
    stream: str = ""


def local_files(
    spec: WeightSpec,
    streams: Collection[str] = STREAMS,
    *,
    force: bool = False,
    allow_http: bool = False,
) -> list[LocalFile]:
    """Return the files of a weight, verified.

    Args:
        spec: The weight.
        streams: The streams that are wanted.
        force: Download again even if they are cached.
        allow_http: Download without encryption a file whose hash is unknown.

    Returns:
        The weight's main file, if it has one, then the further ones.

    Raises:
        WeightsError: If a file is unavailable, or not the published one.
    """
    return [
        LocalFile(_local_file(spec, file, force, allow_http), file.stream)
        for file in spec.all_files
        if not file.stream or file.stream in streams
    ]


def are_cached(spec: WeightSpec) -> bool:
    """Return whether every file of a weight is on this machine already."""
    return all(_is_cached(spec, file) for file in spec.all_files)


def _is_cached(spec: WeightSpec, file: WeightFile) -> bool:
    if spec.folder:
        return os.path.isfile(os.path.join(spec.folder, file.filename))
    if file.url:
        from keras_twostream.pretrained import _web_files

        return _web_files.is_cached(file.url)
    from keras_twostream.pretrained import _hub_files

    revision = spec.revision or "main"
    return _hub_files.is_cached(spec.repo_id, file.filename, revision)


def _local_file(
    spec: WeightSpec, file: WeightFile, force: bool, allow_http: bool
) -> Path:
    if not allow_http:
        _refuse_plain(spec, file)
    path = _fetched(spec, file, force)
    if not path.is_file():
        raise WeightsError(f"There is no weight file {path}.")
    if file.digest:
        _verify.verify(path, file.digest, _repair(spec))
        return path
    if file.prefix:
        _verify.verify_prefix(path, file.prefix, _repair(spec))
    if not spec.folder:
        address = file.url or f"{spec.source}/{file.filename}"
        _verify.hold(path, address, _repair(spec))
    return path


def _refuse_plain(spec: WeightSpec, file: WeightFile) -> None:
    """Refuse a download that anybody on the way could change unseen."""
    if not file.needs_flag:
        return
    from keras_twostream.pretrained import _web_files

    if not _web_files.is_cached(file.url):
        raise WeightsError(
            f"{file.url} is not encrypted, and nobody has stated the hash of "
            "this file, so whoever carries it could change it unseen. If you "
            "trust your network, fetch it once with\n"
            f"    keras-twostream weights pull --allow-http {spec.name}"
        )


def _fetched(spec: WeightSpec, file: WeightFile, force: bool) -> Path:
    if spec.folder:
        return _commit.tensors_path(
            Path(spec.folder), file.filename, file.sha256
        )
    if file.url:
        from keras_twostream.pretrained import _web_files

        plain = file.url.startswith("http://")
        return _web_files.fetch(file.url, force=force, plain=plain)
    from keras_twostream.pretrained import _hub_files

    revision = spec.revision or "main"
    return _hub_files.fetch(
        spec.repo_id, file.filename, revision, force=force, size=file.size
    )


def _repair(spec: WeightSpec) -> str:
    if spec.folder:
        return (
            f"Write the folder {spec.folder} again with keras_twostream."
            "save_pretrained, or copy it again from where it came."
        )
    name = spec.source if spec.repo_id else spec.name
    return (
        "It was not used. Download it again with\n"
        f"    keras-twostream weights pull --force {name}\n"
        "and if the hash is still wrong, tell the publisher."
    )
