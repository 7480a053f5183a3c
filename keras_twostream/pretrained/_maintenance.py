"""Maintenance of the catalogue: pull, verify, lock."""

import dataclasses
import re
from collections.abc import Iterator

from keras_twostream import registry
from keras_twostream.errors import TwoStreamError, WeightsError
from keras_twostream.pretrained import _select, _sources, _verify
from keras_twostream.pretrained._convert import key_map
from keras_twostream.pretrained._flow_networks import flow_weight
from keras_twostream.pretrained._spec import OURS, WeightFile, WeightSpec


@dataclasses.dataclass(frozen=True)
class Check:
    """The findings of `verify_row` about one weight.

    Attributes:
        name: Name of the weight.
        problems: Sentences; the row must be repaired.
        unlocked: Pins that are missing; `weights lock` adds them.
    """

    name: str
    problems: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()


def pull(
    name: str, *, force: bool = False, allow_http: bool = False
) -> list[_sources.LocalFile]:
    """Fetch and verify the files of a weight without building a model.

    Args:
        name: A name for `load`: a weight, an architecture, hf:// or local:;
            or a network of optical flow, as "raft_small".
        force: Download again even if they are cached.
        allow_http: Fetch without encryption a file whose hash is unknown.

    Raises:
        WeightsError: If a file is unavailable.
    """
    spec = flow_weight(name) or _select.resolve(name, _select.DEFAULT, {})
    return _sources.local_files(spec, force=force, allow_http=allow_http)


def verify_row(
    spec: WeightSpec, *, online: bool = False, allow_http: bool = False
) -> Check:
    """Check a catalogue row against the library and, online, its source.

    Args:
        spec: The row; its fields were checked when it was read.
        online: Also ask the source for the file, or hash a local one.
        allow_http: Ask without encryption too, where no hash is known.

    Returns:
        A `Check` of problems and missing pins.
    """
    problems = [str(error) for error in _problems(spec, online, allow_http)]
    return Check(spec.name, tuple(problems), tuple(_unlocked(spec)))


def lock_row(spec: WeightSpec, *, allow_http: bool = False) -> WeightSpec:
    """Download a row's files, and return it with all pins.

    The pins are revision, hash and size.

    Raises:
        WeightsError: If a file cannot be fetched.
    """
    if spec.repo_id and not spec.revision:
        from keras_twostream.pretrained import _hub_files

        commit = _hub_files.newest(spec.repo_id, spec.filename)
        spec = dataclasses.replace(spec, revision=commit)
    copies = _sources.local_files(spec, allow_http=allow_http)
    paths = [file.path for file in copies]
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


def _problems(
    spec: WeightSpec, online: bool, allow_http: bool
) -> Iterator[TwoStreamError]:
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
            _sources.local_files(spec, allow_http=allow_http)
    except TwoStreamError as error:
        yield error


def _unlocked(spec: WeightSpec) -> Iterator[str]:
    if spec.repo_id and not re.fullmatch("[0-9a-f]{40}", spec.revision):
        yield "revision"
    checked = {file.stream for file in spec.files if file.sha256}
    for file in spec.all_files:
        of = f" of {file.filename}" if spec.files else ""
        # A pinned index holds the checksums of its stream's data file.
        if not file.sha256 and not (file.stream and file.stream in checked):
            yield f"sha256{of}{_instead(file)}"
        if not file.size and not spec.files:
            yield "size"


def _instead(file: WeightFile) -> str:
    """Return a note on the pin used until a sha256 is known."""
    if file.digest:
        return f" (its {file.digest.partition(':')[0]} is known)"
    if file.prefix:
        return f" ({len(file.prefix)} digits of it are known)"
    return " (until then the first download's is held to)"
