"""A weight's files on this machine: fetched if need be, and verified."""

import dataclasses
from collections.abc import Collection
from pathlib import Path

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _verify
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
) -> list[LocalFile]:
    """The files of a weight, verified.

    Args:
        spec: The weight.
        streams: The streams that are wanted.
        force: Download again even if they are cached.

    Returns:
        The weight's main file, if it has one, then the further ones.

    Raises:
        WeightsError: If a file cannot be had, or is not the published one.
    """
    rows = list(spec.files)
    if spec.folder or spec.repo_id or spec.url:
        main = WeightFile(spec.filename, spec.url, spec.sha256, spec.size)
        rows.insert(0, main)
    return [
        LocalFile(_local_file(spec, row, force), row.stream)
        for row in rows
        if not row.stream or row.stream in streams
    ]


def _local_file(spec: WeightSpec, file: WeightFile, force: bool) -> Path:
    path = _fetched(spec, file, force)
    if not path.is_file():
        raise WeightsError(f"There is no weight file {path}.")
    if file.sha256:
        _verify.verify(path, file.sha256, _repair(spec))
    else:
        _verify.verify_name(path, _repair(spec))
    return path


def _fetched(spec: WeightSpec, file: WeightFile, force: bool) -> Path:
    if spec.folder:
        return Path(spec.folder) / file.filename
    if file.url:
        from keras_twostream.pretrained import _web_files

        return _web_files.fetch(file.url, force=force)
    from keras_twostream.pretrained import _hub_files

    revision = spec.revision or "main"
    return _hub_files.fetch(spec.repo_id, file.filename, revision, force=force)


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
