"""What the Hub's errors mean, and what to do next."""

import errno

import huggingface_hub.errors as hub
from httpx2 import HTTPError, ReadError, RemoteProtocolError

from keras_twostream.errors import WeightsError

TROUBLE = (
    HTTPError,
    OSError,
    hub.HFValidationError,
    hub.FileMetadataError,
    hub.OfflineModeIsEnabled,
)


def is_network(error: Exception) -> bool:
    """Whether the Hub was not reached at all, or is down."""
    if isinstance(error, hub.HfHubHTTPError):
        return _status(error) >= 500
    offline = hub.OfflineModeIsEnabled | hub.LocalEntryNotFoundError
    return isinstance(error, HTTPError | offline | ConnectionError)


def explain(
    error: Exception, repo_id: str, filename: str, revision: str
) -> WeightsError:
    """An error with its next step, for what the client raised.

    The order matters: `GatedRepoError` is a `RepositoryNotFoundError`, and
    `LocalEntryNotFoundError` (no network) is an `EntryNotFoundError`.
    """
    where = f"{repo_id}@{revision}"
    if isinstance(error, hub.GatedRepoError):
        text = (
            f"{repo_id} is gated: its owner asks for an agreement first. Open "
            f"https://huggingface.co/{repo_id}, accept it, and log in with "
            "`hf auth login` (or set HF_TOKEN)."
        )
    elif isinstance(error, hub.DisabledRepoError):
        text = f"{repo_id} was disabled on the Hub. Choose another weight."
    elif isinstance(error, hub.RepositoryNotFoundError):
        text = (
            f"There is no repository {repo_id} on the Hub, or it is private. "
            "Check the spelling; for a private one log in with `hf auth "
            "login` (or set HF_TOKEN) as someone who may read it."
        )
    elif isinstance(error, hub.RevisionNotFoundError):
        text = (
            f"{repo_id} has no revision {revision!r}. Look at "
            f"https://huggingface.co/{repo_id}/commits/main, or leave out "
            "@revision for the newest."
        )
    elif isinstance(error, hub.RemoteEntryNotFoundError):
        text = (
            f"{where} has no file {filename}. A repository that "
            "keras_twostream.push_to_hub wrote has config.json and "
            "model.safetensors; others are loaded by names of "
            "keras_twostream.list_weights()."
        )
    elif isinstance(error, hub.HFValidationError):
        text = (
            "A Hub address is hf://user/repo or hf://user/repo@revision. "
            f"Received: {repo_id!r} ({error})"
        )
    else:
        text = _local_trouble(error, where, filename)
    return WeightsError(text)


def _local_trouble(error: Exception, where: str, filename: str) -> str:
    if isinstance(error, hub.OfflineModeIsEnabled):
        return (
            f"{filename} of {where} is not in the cache, and HF_HUB_OFFLINE "
            "forbids to fetch it. Unset HF_HUB_OFFLINE once, or run "
            "`keras-twostream weights pull` where there is a network."
        )
    if isinstance(error, ReadError | RemoteProtocolError):
        return _cut_off(error, where, filename)
    if is_network(error):
        return (
            f"{filename} of {where} is not in the cache, and the Hub cannot "
            f"be reached ({type(error).__name__}: {error}). Check the network "
            "and proxy, or copy the cache folder of a machine that has it."
        )
    if getattr(error, "errno", None) == errno.ENOSPC:
        return (
            f"The disk is full: {filename} of {where} could not be stored. "
            "Free some space, or set HF_HOME to a folder on another disk."
        )
    return _cut_off(error, where, filename)


def _cut_off(error: Exception, where: str, filename: str) -> str:
    return (
        f"The download of {filename} of {where} failed or was cut off: "
        f"{error}. Run it again; it goes on where it stopped."
    )


def _status(error: hub.HfHubHTTPError) -> int:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", 0) or 0
