"""What keeps the catalogue true: pull, verify, lock."""

import dataclasses
import re
from collections.abc import Iterator

from keras_twostream import registry
from keras_twostream.errors import TwoStreamError, WeightsError
from keras_twostream.pretrained import _select, _sources, _verify
from keras_twostream.pretrained._convert import key_map
from keras_twostream.pretrained._spec import OURS, WeightSpec


@dataclasses.dataclass(frozen=True)
class Check:
    """What `verify_row` found out about one weight.

    Attributes:
        name: Of the weight.
        problems: Sentences; the row must be repaired.
        unlocked: Pins that are missing; `weights lock` adds them.
    """

    name: str
    problems: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()


def pull(name: str, *, force: bool = False) -> list[_sources.LocalFile]:
    """Fetch and verify the files of a weight without building a model.

    Args:
        name: As `load` takes it: a weight, an architecture, hf:// or local:.
        force: Download again even if they are cached.

    Returns:
        The files.

    Raises:
        WeightsError: If they cannot be had.
    """
    spec = _select.resolve(name, _select.DEFAULT, {})
    return _sources.local_files(spec, force=force)


def verify_row(spec: WeightSpec, *, online: bool = False) -> Check:
    """Check a catalogue row against the library and, online, its source.

    Args:
        spec: The row; its fields were checked when it was read.
        online: Also ask the source for the file, or hash a local one.

    Returns:
        What is wrong or missing.
    """
    problems = [str(error) for error in _problems(spec, online)]
    return Check(spec.name, tuple(problems), tuple(_unlocked(spec)))


def lock_row(spec: WeightSpec) -> WeightSpec:
    """The row with revision, hash and size pinned; it downloads the files.

    Raises:
        WeightsError: If a file cannot be fetched.
    """
    if spec.repo_id and not spec.revision:
        from keras_twostream.pretrained import _hub_files

        commit = _hub_files.newest(spec.repo_id, spec.filename)
        spec = dataclasses.replace(spec, revision=commit)
    paths = [file.path for file in _sources.local_files(spec)]
    if len(paths) > len(spec.files):
        main, *paths = paths
        spec = dataclasses.replace(
            spec, sha256=_verify.sha256_of(main), size=main.stat().st_size
        )
    files = tuple(
        dataclasses.replace(
            file, sha256=_verify.sha256_of(path), size=path.stat().st_size
        )
        for file, path in zip(spec.files, paths, strict=True)
    )
    return dataclasses.replace(spec, files=files)


def _problems(spec: WeightSpec, online: bool) -> Iterator[TwoStreamError]:
    try:
        known = registry.model_entry(spec.architecture).options
        unknown = sorted(set(spec.options) - set(known))
        if unknown:
            yield WeightsError(
                f"{spec.architecture} has no option {', '.join(unknown)}."
            )
        if spec.layout != OURS:
            key_map(spec.layout)
        if online:
            _sources.local_files(spec)
    except TwoStreamError as error:
        yield error


def _unlocked(spec: WeightSpec) -> Iterator[str]:
    if spec.repo_id and not re.fullmatch("[0-9a-f]{40}", spec.revision):
        yield "revision"
    if not spec.files and not spec.sha256:
        yield "sha256"
    if not spec.files and not spec.size:
        yield "size"
    checked = {file.stream for file in spec.files if file.sha256}
    for file in spec.files:
        # A pinned index holds the checksums of its stream's data file.
        if not file.sha256 and file.stream not in checked:
            yield f"sha256 of {file.filename}"
