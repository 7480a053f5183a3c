"""Files from the Hub, through its own client, with errors that help.

A file pinned by a commit and already cached costs no request. Token, cache
and offline mode come from the client's environment variables (HF_TOKEN,
HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_HUB_OFFLINE).
"""

import contextlib
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils import HFValidationError, tqdm

from keras_twostream._printing import printable
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _folder, _hub_errors
from keras_twostream.pretrained._spec import WeightSpec

logger = logging.getLogger("keras_twostream")

T = TypeVar("T")

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OF_ONE_TRY = re.compile(r"[0-9a-f]+\.[0-9a-f]{8}\.incomplete")
_DEAD_AFTER = 600  # seconds
_TRIES = 4
_LONGEST_WAIT = 120  # seconds


def spec_of(address: str) -> WeightSpec:
    """Return the weight in a Hub repository of our format.

    Args:
        address: "hf://user/repo" or "hf://user/repo@revision".

    Returns:
        A WeightSpec pinned to the revision's current commit.

    Raises:
        WeightsError: If the repository cannot be read.
    """
    repo_id, revision = parse(address)
    path = fetch(repo_id, _folder.CONFIG, revision)
    config = _folder.read_config(path)
    return _folder.spec_of_config(
        config,
        f"{config['architecture']}.{_tag(repo_id)}",
        repo_id=repo_id,
        revision=_commit_of(path, _folder.CONFIG),
    )


def parse(address: str) -> tuple[str, str]:
    """Return the repository and revision of an hf:// address.

    Raises:
        WeightsError: If it is not hf://user/repo or hf://user/repo@revision.
    """
    repo_id, at, revision = address.removeprefix("hf://").partition("@")
    if repo_id.count("/") != 1 or (at and not revision):
        raise WeightsError(
            "A Hub address is hf://user/repo or hf://user/repo@revision. "
            f"Received: {address!r}"
        )
    return repo_id, revision or "main"


def fetch(
    repo_id: str,
    filename: str,
    revision: str,
    *,
    force: bool = False,
    size: int = 0,
) -> Path:
    """Return a file of a repository, from the cache or downloaded.

    Args:
        repo_id: "user/name".
        filename: Path in the repository.
        revision: Commit, tag or branch.
        force: Download again even if it is cached.
        size: Its bytes where the catalogue knows them, for the error.

    Returns:
        Its path in the Hub's cache.

    Raises:
        WeightsError: If it is unavailable; the message says what to do.
    """
    known = not force and _COMMIT.fullmatch(revision)
    if known and (cached := _cached(repo_id, filename, revision)):
        return cached
    stored = None if force else _stored(repo_id, filename, revision)
    etag = ""
    try:
        # Asking for the size first also finds a dead network at once, where
        # the download itself would retry for 23 seconds.
        facts = _patiently(
            lambda: _metadata(repo_id, filename, revision),
            tries=1 if stored else _TRIES,
        )
        _hub_errors.check_headers(
            facts.commit_hash,
            facts.etag,
            f"{filename} of {repo_id}",
            facts.size,
        )
        etag, size = facts.etag or "", facts.size or size
        _check_space(size, repo_id, filename)
        _remove_abandoned(repo_id)
        return _patiently(
            lambda: _download(repo_id, filename, revision, size, force)
        )
    except _hub_errors.TROUBLE as error:
        if stored and _hub_errors.is_network(error):
            return _instead(stored, repo_id, filename, revision)
        there = _cached(repo_id, filename, revision) is not None
        kept = (_blobs(repo_id) / f"{etag}.incomplete").is_file()
        raise _hub_errors.explain(
            error, repo_id, filename, revision, size, kept, there
        ) from error


def is_cached(repo_id: str, filename: str, revision: str) -> bool:
    """Return whether a file of a repository is in the Hub's cache."""
    return _cached(repo_id, filename, revision) is not None


def newest(repo_id: str, filename: str) -> str:
    """Return the current commit of a repository's main branch.

    Raises:
        WeightsError: If it cannot be reached or lacks the file.
    """
    return _commit_of(fetch(repo_id, filename, "main"), filename)


def _cached(repo_id: str, filename: str, revision: str) -> Path | None:
    try:
        path = huggingface_hub.try_to_load_from_cache(
            repo_id, filename, revision=revision
        )
    except HFValidationError:
        return None
    return Path(path) if isinstance(path, str) else None


def _patiently(call: Callable[[], T], tries: int = _TRIES) -> T:
    """Call again after temporary errors, and wait as the Hub asks."""
    for number in range(1, tries):
        try:
            return call()
        except _hub_errors.TROUBLE as error:
            wait = _hub_errors.retry_after(error)
            if wait is None:
                wait = 2.0 ** (number - 1)
            if not _hub_errors.is_passing(error) or wait > _LONGEST_WAIT:
                raise
            logger.warning(
                "The Hub answered: %s. Trying again in %g seconds.",
                printable(error),
                wait,
            )
            time.sleep(wait)
    return call()


def _metadata(
    repo_id: str, filename: str, revision: str
) -> huggingface_hub.HfFileMetadata:
    url = huggingface_hub.hf_hub_url(repo_id, filename, revision=revision)
    return huggingface_hub.get_hf_file_metadata(
        url, timeout=constants.HF_HUB_ETAG_TIMEOUT, **_agent()
    )


def _download(
    repo_id: str, filename: str, revision: str, size: int, force: bool
) -> Path:
    if size > 1_000_000:
        logger.info(
            "Downloading %s of %s (%.1f MB)", filename, repo_id, size / 1e6
        )
    with _watching(f"{filename} of {repo_id}"):
        path = huggingface_hub.hf_hub_download(
            repo_id,
            filename,
            revision=revision,
            force_download=force,
            tqdm_class=_bar(f"{repo_id}/{filename}"),
            **_agent(),
        )
    return Path(path)


@contextlib.contextmanager
def _watching(where: str) -> Iterator[None]:
    """Check the headers of the client's own requests too.

    The client asks for the metadata again before it downloads, and a server
    may answer otherwise than it did a moment before.
    """
    thread = threading.get_ident()

    def check(response: Any) -> None:
        headers = response.headers
        commit = headers.get("X-Repo-Commit")
        etag = headers.get("X-Linked-Etag") or headers.get("ETag")
        asked = response.request.method == "HEAD" and commit and etag
        # Other threads may use the same client for other things.
        if asked and threading.get_ident() == thread:
            etag = etag.removeprefix("W/").strip('"')
            _hub_errors.check_headers(commit, etag, where)

    # The list itself is changed: other threads may be doing the same.
    hooks = huggingface_hub.get_session().event_hooks["response"]
    hooks.append(check)
    try:
        yield
    finally:
        hooks.remove(check)


def _stored(repo_id: str, filename: str, revision: str) -> Path | None:
    """Return the cached copy of a branch or tag, for use offline."""
    try:
        path = huggingface_hub.hf_hub_download(
            repo_id, filename, revision=revision, local_files_only=True
        )
    except _hub_errors.TROUBLE:
        return None
    return Path(path)


def _instead(stored: Path, repo_id: str, filename: str, revision: str) -> Path:
    logger.warning(
        "The Hub cannot be reached; using the cached %s of %s@%s, which may "
        "be an older one.",
        filename,
        repo_id,
        revision,
    )
    return stored


def _blobs(repo_id: str) -> Path:
    name = huggingface_hub.constants.REPO_ID_SEPARATOR.join(
        ["models", *repo_id.split("/")]
    )
    return Path(constants.HF_HUB_CACHE) / name / "blobs"


def _remove_abandoned(repo_id: str) -> None:
    """Remove the remains of killed downloads that cannot be resumed.

    Newer clients write each download to a name of its own. One that nobody
    has written to for minutes is dead: the client's own timeouts are shorter.
    """
    for path in _blobs(repo_id).glob("*.incomplete"):
        with contextlib.suppress(OSError):
            idle = time.time() - path.stat().st_mtime
            if _OF_ONE_TRY.fullmatch(path.name) and idle > _DEAD_AFTER:
                path.unlink()


def _check_space(size: int, repo_id: str, filename: str) -> None:
    folder = Path(constants.HF_HUB_CACHE)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size > free:
        raise WeightsError(
            f"{filename} of {repo_id} needs {size / 1e6:.1f} MB, but "
            f"{folder} has {free / 1e6:.1f} MB free. Free some space, or set "
            "HF_HOME to a folder on another disk."
        )


def _bar(name: str) -> type[tqdm]:
    class NamedBar(tqdm):
        """A progress bar that shows the file's name, not its hash."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "desc": name})

    return NamedBar


def _agent() -> dict[str, Any]:
    import keras_twostream

    return {
        "library_name": "keras_twostream",
        "library_version": keras_twostream.__version__,
    }


def _commit_of(path: Path, filename: str) -> str:
    """Return the commit in ".../snapshots/<commit>/<filename>"."""
    return path.parents[filename.count("/")].name


def _tag(repo_id: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", repo_id.lower())
