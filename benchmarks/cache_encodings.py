"""What each encoding of the packed cache does to a trained model's accuracy.

    python benchmarks/cache_encodings.py ucf101_six WORK [--split 1]

Extracts the videos once per encoding, evaluates the same model on the test
part of an official split from each cache, and from the videos themselves,
where frames and flow never were encoded. Beside accuracy stands how many
answers changed, and how far a class's probability moved at most, on average.
"""

import argparse
from pathlib import Path

import numpy as np

import keras_twostream as kts
from keras_twostream.data import probe, read_annotations
from keras_twostream.data.cache import Contract
from keras_twostream.data.extraction import extract
from keras_twostream.training import evaluate_videos

ENCODINGS = (("jpeg", 8), ("jpeg", 16), ("png", 8), ("png", 16), ("raw", 16))
CLIPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="the folder ucf101_six")
    parser.add_argument("work", type=Path)
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--model", default="spatiotemporal_resnet.ucf101_six")
    given = parser.parse_args()
    model = kts.load(given.model)
    lists = given.data / "ucfTrainTestlist"
    videos = read_annotations(
        lists, split=given.split, subset="test", root=given.data
    )
    items = list(zip(videos.paths, videos.labels, strict=True))
    everything = given.data.glob("*/*.mp4")
    seconds = sum(probe(path).duration for path in everything)
    plain = evaluate_videos(model, items, num_clips=CLIPS)
    print("| cache | KiB/s | top-1 | answers changed | p moved by |")
    print("|---|---|---|---|---|")
    print(f"| none: the videos | | {top1(plain):.1%} | | |", flush=True)
    for encoding, bits in ENCODINGS:
        contract = Contract.of(kts.clip_spec(model), bits, encoding)
        cache = given.work / f"{encoding}{bits}"
        extract(given.data, cache, contract)
        scores = evaluate_videos(model, items, num_clips=CLIPS, cache=cache)
        print(row(contract, cache, seconds, scores, plain), flush=True)


def row(contract: Contract, cache: Path, seconds: float, scores, plain) -> str:
    size = sum(x.stat().st_size for x in cache.rglob("*.safetensors"))
    ours, theirs = (x.scores["fused"] for x in (scores, plain))
    changed = int(np.sum(ours.argmax(1) != theirs.argmax(1)))
    moved = np.abs(chances(ours) - chances(theirs)).max(axis=1).mean()
    return (
        f"| {contract.rgb_encoding}, flow {contract.flow_encoding} of "
        f"{contract.bits} bits | {size / seconds / 1024:.0f} | "
        f"{top1(scores):.1%} | {changed} of {len(ours)} | {moved:.3f} |"
    )


def top1(scores) -> float:
    return float(np.mean(scores.scores["fused"].argmax(1) == scores.labels))


def chances(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


if __name__ == "__main__":
    main()
