"""Networks of the study, each trained and measured by the command line."""

import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path

import keras_twostream as kts
from accuracy_parts.googlenet import SMALL, googlenet
from accuracy_parts.lists import LISTS
from accuracy_parts.results import GOOGLENET, LONG, LONG_FLOW, Results
from keras_twostream import training

START = "spatiotemporal_resnet.actors"
SIZE = ("depth", "width", "clip_length", "flow_length")
STREAMS = {"rgb": "rgb", "flow": "flow"}
# Towers to be fused: CNN-M, which needs a smaller rate without normalisation.
TOWERS = {"cnn_m rgb": "rgb", "cnn_m flow": "flow"}
TOWER = (
    "--model two_stream_fusion --weights none --option backbones="
    "['cnn_m','cnn_m'] --option temporal_pool=none --option dropout=0.5 "
    "--set learning_rate=0.0003"
).split()
# Each start has its usual rate: without normalisation 1e-3 is too high.
RATES = {"imagenet": 1e-4, "random": 3e-4}
# System and epochs.
LONGER = {LONG: ("st_resnet", 60), LONG_FLOW: ("googlenet flow", 24)}
LATES = {
    "late fusion": ("rgb", "flow"),
    "late fusion, googlenet": tuple(GOOGLENET),
    "late fusion, googlenet, 24 epochs": ("googlenet rgb", LONG_FLOW),
}
# The last epoch counts: nothing is chosen by looking at any test clip.
TRAINING = (
    "--recipe finetune --input mirror=true --val-share 0 --keep last"
).split()
VIEWS = "--clips 10 --crops centre".split()


class Study:
    """Trains networks on splits and notes what they get right.

    Args:
        folder: The data.
        cache: A packed cache of it.
        work: Where runs go.
        results: Where results go.
        epochs: Passes over the training part.
        values: BVLC's values in safetensors; the catalogue's otherwise.
    """

    def __init__(
        self,
        folder: Path,
        cache: str,
        work: Path,
        results: Results,
        epochs: int,
        values: Path | None = None,
    ) -> None:
        self.folder, self.cache, self.work = folder, cache, work
        self.results, self.epochs, self.values = results, epochs, values

    def measure(self, system: str, init: str, split: int, seed: int) -> None:
        """One network; then late fusion, once both its streams are there."""
        key = {"system": system, "init": init, "split": split, "seed": seed}
        if not self.results.has(**key):
            self._measure(key)
        for late, streams in LATES.items():
            if system in streams:
                self._fuse_late(late, streams, init, split, seed)

    def run_folder(self, system: str, init: str, split: int, seed: int) -> Path:
        name = f"{system}-{init}-split{split}-seed{seed}"
        return self.work / name.replace(",", "").replace(" ", "_")

    def _measure(self, key) -> None:
        run = self.run_folder(**key)
        began, used = time.perf_counter(), _processor()
        train = self._train_command(run, **key)
        if not (run / "model").is_dir():
            _call(train)
        seconds, processor = time.perf_counter() - began, _processor() - used
        if not (run / "test" / "scores.npz").exists():
            _call(self._evaluate_command(run, key["split"]))
        scores = training.load_scores(run / "test" / "scores.npz")
        answers = _only_or_fused(scores).argmax(axis=1)
        self.results.add(
            answers == scores.labels,
            seconds,
            self._shown(train),
            processor=processor,
            **key,
        )

    def _shown(self, command: list[str]) -> str:
        """The command as anyone may call it, without this machine's paths."""
        line = shlex.join(["keras-twostream", *command])
        names = {self.work: "runs", self.folder: "ucf101_six"}
        for path, name in {**names, self.cache: "cache"}.items():
            line = line.replace(str(path), name)
        return line

    def _train_command(self, run, system, init, split, seed) -> list[str]:
        command = ["train", *self._data(split), "--out", str(run)]
        system, epochs = LONGER.get(system, (system, self.epochs))
        command += ["--seed", str(seed), "--epochs", str(epochs)]
        command += [*TRAINING, *self._model(system, init, split, seed)]
        streams = {**STREAMS, **TOWERS, **GOOGLENET}
        if system in streams:
            command += ["--streams", streams[system]]
        return command

    def _model(self, system, init, split, seed) -> list[str]:
        """Which network, and what it starts from."""
        if system in TOWERS:
            return [*TOWER, *clip_of_start("flow_length")]
        if system in GOOGLENET:
            return self._googlenet(GOOGLENET[system], init)
        if init == "actors" and system != "multiplier":
            return ["--model", START]
        name = "multiplier" if system == "multiplier" else "resnet"
        flags = ["--model", f"spatiotemporal_{name}", "--weights", "none"]
        flags += clip_of_start(*SIZE)
        if init == "actors":
            for stream in STREAMS:
                flags += ["--init", f"{stream}={START}"]
        if init == "cross_modality":
            rgb = self.run_folder("rgb", "random", split, seed)
            flags += ["--init", f"{system}=rgb:{rgb}"]
        return flags

    def _googlenet(self, stream: str, init: str) -> list[str]:
        """GoogLeNet at half its size, which two processors can train."""
        start = self.work / f"googlenet-{stream}-{init}"
        if not start.is_dir():
            model = googlenet(init, stream, SMALL, self.values)
            kts.save_pretrained(model, start)
        rate = f"learning_rate={RATES[init]}"
        return ["--model", str(start), "--set", rate]

    def _evaluate_command(self, run: Path, split: int) -> list[str]:
        command = ["evaluate", str(run), *self._data(split)]
        return [*command, *VIEWS, "--out", str(run / "test")]

    def _data(self, split: int) -> list[str]:
        return [
            *("--data", str(self.folder / LISTS), "--root", str(self.folder)),
            *("--split", str(split), "--cache", self.cache),
        ]

    def _fuse_late(self, late, systems, init, split, seed) -> None:
        """Mean of the streams' probabilities (Simonyan & Zisserman 2014)."""
        key = {"init": init, "split": split, "seed": seed}
        files = {
            stream: self.run_folder(system, init=init, split=split, seed=seed)
            / "test"
            / "scores.npz"
            for stream, system in zip(STREAMS, systems, strict=True)
        }
        there = all(file.exists() for file in files.values())
        if not there or self.results.has(system=late, **key):
            return
        parts = {s: training.load_scores(file) for s, file in files.items()}
        scores = {s: _only_or_fused(part) for s, part in parts.items()}
        kind = parts["rgb"].kind
        fused = training.fuse(scores, kind=kind, method="softmax")
        self.results.add(
            fused.argmax(axis=1) == parts["rgb"].labels,
            0.0,
            "from the scores of both streams",
            system=late,
            **key,
        )


def clip_of_start(*options: str) -> list[str]:
    """Flags for the clip, and these options, of the actors' network."""
    recipe = training.load_recipe("actors")
    flags = []
    for name in options:
        flags += ["--option", f"{name}={recipe.options[name]}"]
    for name, value in recipe.spec.items():
        flags += ["--spec", f"{name}={value}"]
    return flags


def _only_or_fused(scores: training.VideoScores):
    found = scores.scores
    return found["fused"] if "fused" in found else next(iter(found.values()))


def _call(command: list[str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "keras_twostream", *command], check=True
    )


def _processor() -> float:
    """Processor seconds that finished children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
