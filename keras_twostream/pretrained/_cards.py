"""Model cards: what people read on the Hub before they download."""

from collections.abc import Mapping
from typing import Any


def card_text(config: Mapping[str, Any]) -> str:
    """A README.md with the Hub's metadata, from a folder's config."""
    name = config["architecture"]
    return "\n".join(
        [
            *_metadata(config),
            f"# {name}",
            "",
            config.get("note") or config.get("paper", ""),
            "",
            "```python",
            "import keras_twostream as kts",
            "",
            'model = kts.load("local:.")  # or hf://<user>/<repository>',
            'print(kts.predict("video.mp4", model))',
            "```",
            "",
        ]
    )


def _metadata(config: Mapping[str, Any]) -> list[str]:
    return [
        "---",
        f"license: {config['license']}",
        "library_name: keras",
        "pipeline_tag: video-classification",
        "---",
        "",
    ]
