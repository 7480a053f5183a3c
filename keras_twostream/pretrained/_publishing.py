"""Upload of a folder of weights to the Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import CommitOperationAdd

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    _cards,
    _commit,
    _folder,
    _hub_errors,
    _hub_files,
)
from keras_twostream.pretrained._spec import UNSPECIFIED


def push_folder(
    folder: Path,
    repo_id: str,
    *,
    terms: Mapping[str, str] | None = None,
    private: bool = False,
    message: str = "",
) -> str:
    """Upload a folder that `save_pretrained` wrote.

    A README.md that somebody has written or changed in the repository is left
    as it is.

    Args:
        folder: Holds model.safetensors, config.json and README.md.
        repo_id: "user/name"; made if it does not exist.
        terms: Licence and data terms in place of the folder's, which stays
            as it is; empty ones change nothing.
        private: Whether a new repository is private.
        message: Message of the commit.

    Returns:
        "hf://user/name@commit", which loads exactly these weights.

    Raises:
        WeightsError: If licence or data terms are missing, or the Hub
            refuses.
    """
    given = {name: text for name, text in (terms or {}).items() if text}
    config = {**_folder.read_config(folder / _folder.CONFIG), **given}
    _check_terms(config)
    api = huggingface_hub.HfApi(library_name=_cards.LIBRARY)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        card = _card(api, folder, config, repo_id)
        commit = api.create_commit(
            repo_id,
            [*_model_files(folder, config), *card],
            commit_message=message or f"Upload {config['architecture']}",
        )
    except ValueError as error:
        raise WeightsError(
            f"A repository is named user/name. Received: {repo_id!r} ({error})"
        ) from error
    except _hub_errors.TROUBLE as error:
        raise _hub_errors.explain_push(error, repo_id) from error
    return f"hf://{repo_id}@{commit.oid}"


def _check_terms(config: Mapping[str, Any]) -> None:
    missing = [
        field
        for field in ("license", "data_terms")
        if config[field] in ("", UNSPECIFIED)
    ]
    if missing:
        raise WeightsError(
            "Published weights must say who may use them. Missing: "
            f"{', '.join(missing)}. Give license= (an SPDX identifier, as "
            "apache-2.0) and data_terms= (the terms of the training data); on "
            "the command line --license and --data-terms."
        )


def _model_files(
    folder: Path, config: Mapping[str, Any]
) -> list[CommitOperationAdd]:
    tensors = _commit.tensors_path(folder, config["filename"], config["sha256"])
    text = _folder.config_text(folder / _folder.CONFIG, config)
    return [
        CommitOperationAdd(config["filename"], tensors),
        CommitOperationAdd(_folder.CONFIG, text.encode("utf-8")),
    ]


def _card(
    api: huggingface_hub.HfApi,
    folder: Path,
    config: Mapping[str, Any],
    repo_id: str,
) -> list[CommitOperationAdd]:
    """Return the model card, unless the repository has a hand-written one."""
    if api.file_exists(repo_id, _folder.CARD):
        path = _hub_files.fetch(repo_id, _folder.CARD, "main")
        if not _cards.is_generated(path.read_text("utf-8", errors="replace")):
            return []
    own = folder / _folder.CARD
    text = own.read_text("utf-8") if own.exists() else ""
    if not text or _cards.is_generated(text):
        text = _cards.card_text(config, f"hf://{repo_id}")
    else:
        text = text.replace(f'"{_cards.PLACEHOLDER}"', f'"hf://{repo_id}"')
    return [CommitOperationAdd(_folder.CARD, text.encode("utf-8"))]
