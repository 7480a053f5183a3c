"""Explanations of the Hub's errors, with a next step."""

import errno
import importlib
from collections.abc import Iterator

import huggingface_hub.errors as hub
from huggingface_hub import constants

from keras_twostream._printing import printable
from keras_twostream.errors import WeightsError


def _transport_error() -> type[Exception]:
    """Return the base class of errors of the client's HTTP library.

    The client changed it from httpx to httpx2; either is a dependency of the
    client and none of ours.
    """
    kinds = hub.HfHubHTTPError.__mro__
    base = next(kind for kind in kinds if kind.__name__ == "HTTPError")
    library = importlib.import_module(base.__module__.partition(".")[0])
    return library.TransportError


TRANSPORT = _transport_error()
TROUBLE = (
    TRANSPORT,
    OSError,
    hub.HFValidationError,
    hub.FileMetadataError,
    hub.OfflineModeIsEnabled,
)
WITHOUT_NETWORK = (
    "Without a network there are the weights that ship with the package (as "
    "spatiotemporal_resnet.actors), cached ones, local:<folder>, and "
    "weights=None."
)
_BY_STATUS = {
    401: (
        "the Hub refused the token. Renew it with `hf auth login`, set "
        "HF_TOKEN anew, or unset it for public repositories."
    ),
    403: (
        "the Hub forbids it to this user. Ask the owner for access, or log in "
        "(`hf auth login`, HF_TOKEN) with a token that has the right."
    ),
    404: (
        "there is no such file at that address. Check the name, and "
        "HF_ENDPOINT if you set it."
    ),
    407: (
        "a proxy asks for a password. Put it into HTTPS_PROXY, as "
        "http://user:password@host:port."
    ),
    429: (
        "the Hub got too many requests from here. Wait some minutes, and log "
        "in (`hf auth login`) for higher limits."
    ),
}
_BROKEN = ("ReadError", "ReadTimeout", "RemoteProtocolError", "WriteError")


def is_network(error: BaseException) -> bool:
    """Return whether the Hub was not reached at all, or is down."""
    if status := status_of(error):
        return status >= 500
    offline = hub.OfflineModeIsEnabled | hub.LocalEntryNotFoundError
    return isinstance(error, TRANSPORT | offline | ConnectionError)


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may succeed a moment later."""
    if status := status_of(error):
        return status in (408, 429) or status >= 500
    return any(type(cause).__name__ in _BROKEN for cause in _causes(error))


def retry_after(error: BaseException) -> float | None:
    """Return how many seconds the Hub asked to wait, if it did."""
    for cause in _causes(error):
        headers = getattr(getattr(cause, "response", None), "headers", {})
        value = headers.get("Retry-After", "")
        if value.isdecimal():
            return float(value)
    return None


def status_of(error: BaseException) -> int:
    """Return the HTTP status behind an error, or 0."""
    for cause in _causes(error):
        if isinstance(cause, hub.HfHubHTTPError):
            response = getattr(cause, "response", None)
            return getattr(response, "status_code", 0) or 0
    return 0


def explain(
    error: Exception,
    repo_id: str,
    filename: str,
    revision: str,
    size: int = 0,
    kept: bool = False,
    there: bool = False,
) -> WeightsError:
    """Return an error with its next step, for what the client raised.

    The order matters: `GatedRepoError` is a `RepositoryNotFoundError`, and
    `LocalEntryNotFoundError` (no network) is an `EntryNotFoundError`.

    Args:
        error: The client's error.
        repo_id: "user/name".
        filename: The file that was asked for.
        revision: Commit, tag or branch.
        size: Bytes of the file, 0 where unknown.
        kept: Whether the client kept what it has of the file.
        there: Whether it is in the cache, and was to be fetched again.
    """
    where = f"{repo_id}@{revision}"
    text = _of_repository(error, repo_id, revision) or _of_file(
        error, where, filename
    )
    if not text and status_of(error) in _BY_STATUS:
        text = f"{filename} of {where}: {_BY_STATUS[status_of(error)]}"
    if not text:
        text = _of_network(error, where, filename, size, kept, there)
    return WeightsError(printable(text, keep="\n"))


def explain_push(error: Exception, repo_id: str) -> WeightsError:
    """Return an error with its next step, for an upload that failed."""
    advice = _BY_STATUS.get(
        status_of(error),
        "Check the network; log in with `hf auth login` (or set HF_TOKEN) "
        "using a token that may write; and see that the user or organisation "
        "in the name is yours.",
    )
    text = f"The Hub did not take {repo_id}: {error}\n{advice}"
    return WeightsError(printable(text, keep="\n"))


def check_headers(
    commit: str | None, etag: str | None, where: str, size: int | None = 0
) -> None:
    """Refuse an answer whose headers are not the Hub's.

    The client makes file names of them, so that they must be hashes. Without
    a size, it would wait for bytes until its time is up, and again.

    Raises:
        WeightsError: If they are missing, as on a network's sign-in page, or
            no hashes.
    """
    if not commit or not etag or size is None or size < 0:
        raise WeightsError(
            f"What answered for {where} is not the Hub: this may be the "
            "sign-in page of your network, or a proxy. Open a web page to sign "
            "in, and check HF_ENDPOINT and HTTPS_PROXY."
        )
    for name, value, sizes in (
        ("X-Repo-Commit", commit, (40,)),
        ("ETag", etag, (32, 40, 64)),
    ):
        if len(value) not in sizes or set(value) - set("0123456789abcdef"):
            raise WeightsError(
                f"The server of {where} sent a header {name} that is no hash: "
                f"'{printable(value)[:80]}'. Nothing was written. Check "
                "HF_ENDPOINT."
            )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes; the client hides some in a cause."""
    while error is not None:
        yield error
        error = error.__cause__


def _of_repository(error: Exception, repo_id: str, revision: str) -> str:
    if isinstance(error, hub.GatedRepoError):
        return (
            f"{repo_id} is gated: its owner asks for an agreement first. Open "
            f"https://huggingface.co/{repo_id}, accept it, and log in with "
            "`hf auth login` (or set HF_TOKEN)."
        )
    if isinstance(error, hub.DisabledRepoError):
        return f"{repo_id} was disabled on the Hub. Choose another weight."
    if isinstance(error, hub.RepositoryNotFoundError):
        return (
            f"There is no repository {repo_id} on the Hub, or it is private. "
            "Check the spelling; for a private one log in with `hf auth "
            "login` (or set HF_TOKEN) as someone who may read it."
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return (
            f"{repo_id} has no revision {revision!r}. Look at "
            f"https://huggingface.co/{repo_id}/commits/main, or leave out "
            "@revision for the newest."
        )
    return ""


def _of_file(error: Exception, where: str, filename: str) -> str:
    if isinstance(error, hub.RemoteEntryNotFoundError):
        return (
            f"{where} has no file {filename}. A repository that "
            "keras_twostream.push_to_hub wrote has config.json and "
            "model.safetensors; others are loaded by names of "
            "keras_twostream.list_weights()."
        )
    if isinstance(error, hub.HFValidationError):
        return (
            "A Hub address is hf://user/repo or hf://user/repo@revision. "
            f"Received: {where.rpartition('@')[0]!r} ({error})"
        )
    if getattr(error, "errno", None) == errno.ENOSPC:
        return (
            f"The disk is full: {filename} of {where} could not be stored. "
            "Free some space, or set HF_HOME to a folder on another disk."
        )
    return ""


def _of_network(
    error: Exception,
    where: str,
    filename: str,
    size: int,
    kept: bool,
    there: bool,
) -> str:
    if is_passing(error) and not status_of(error):
        stopped = (
            "it goes on where it stopped"
            if kept
            else "nothing of it was kept, so that it starts anew"
        )
        return (
            f"The download of {filename} of {where} was cut off: {error}. Run "
            f"it again; {stopped}."
        )
    if not is_network(error):
        return (
            f"The download of {filename} of {where} failed: {error}. Run it "
            "again, or set HF_HOME to a folder that you may write to."
        )
    much = f" ({size / 1e6:.1f} MB)" if size else ""
    missing = f"{filename} of {where}{much} is not in the cache"
    if there:
        missing = (
            f"{filename} of {where}{much} stays in the cache as it is; leave "
            "out --force to use it"
        )
    cache = f"The cache is {constants.HF_HUB_CACHE} (HF_HOME chooses another)."
    if any(isinstance(e, hub.OfflineModeIsEnabled) for e in _causes(error)):
        return (
            f"{missing}, and HF_HUB_OFFLINE forbids to fetch it. Unset "
            "HF_HUB_OFFLINE once, or run `keras-twostream weights pull` where "
            f"there is a network. {cache} {WITHOUT_NETWORK}"
        )
    return (
        f"{missing}, and the Hub cannot be reached ({type(error).__name__}: "
        f"{error}). Check the network and proxy, or copy the cache of a "
        f"machine that has it. {cache} {WITHOUT_NETWORK}"
    )
