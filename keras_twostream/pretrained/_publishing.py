"""Putting a folder of weights on the Hub."""

from pathlib import Path

import huggingface_hub
from httpx2 import HTTPError

from keras_twostream import _files
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _folder
from keras_twostream.pretrained._cards import PLACEHOLDER

UNSPECIFIED = "unspecified"


def push_folder(
    folder: Path, repo_id: str, *, private: bool = False, message: str = ""
) -> str:
    """Upload a folder that `save_pretrained` wrote.

    A README.md that the repository has already is left as it is.

    Args:
        folder: Holds model.safetensors, config.json and README.md.
        repo_id: "user/name"; made if it does not exist.
        private: Whether a new repository is private.
        message: Of the commit.

    Returns:
        "hf://user/name@commit", which loads exactly these weights.

    Raises:
        WeightsError: If licence or data terms are missing, or the Hub
            refuses.
    """
    config = _folder.read_config(folder / _folder.CONFIG)
    _check_terms(config)
    names = [_folder.TENSORS, _folder.CONFIG]
    api = huggingface_hub.HfApi(library_name="keras_twostream")
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if not api.file_exists(repo_id, _folder.CARD):
            names.append(_folder.CARD)
            _address(folder / _folder.CARD, repo_id)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=names,
            commit_message=message or f"Upload {config['architecture']}",
        )
    except (HTTPError, OSError) as error:
        raise WeightsError(
            f"The Hub did not take {repo_id}: {error}\nCheck the network; log "
            "in with `hf auth login` (or set HF_TOKEN) using a token that may "
            "write; and see that the user or organisation in the name is "
            "yours."
        ) from error
    except ValueError as error:
        raise WeightsError(
            f"A repository is named user/name. Received: {repo_id!r} ({error})"
        ) from error
    return f"hf://{repo_id}@{commit.oid}"


def _check_terms(config: dict) -> None:
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


def _address(card: Path, repo_id: str) -> None:
    text = card.read_text(encoding="utf-8")
    text = text.replace(f'"{PLACEHOLDER}"', f'"hf://{repo_id}"')
    _files.write_text(card, text)
