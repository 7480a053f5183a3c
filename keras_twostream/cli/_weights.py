"""`keras-twostream weights`: pull, push, verify, lock, results, convert."""

from collections.abc import Mapping
from pathlib import Path

import click

from keras_twostream import _files, pretrained
from keras_twostream.cli import _console
from keras_twostream.cli._options import debug_option, json_option
from keras_twostream.errors import (
    SpecError,
    TwoStreamError,
    UnknownNameError,
    did_you_mean,
)

_allow_http = click.option(
    "--allow-http",
    is_flag=True,
    help="Fetch without encryption files whose hash is unknown.",
)


@click.group("weights")
def weights_command() -> None:
    """Fetch, publish and check pretrained weights."""


@weights_command.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Download again.")
@_allow_http
@json_option
@debug_option
def pull(
    names: tuple[str, ...], force: bool, allow_http: bool, as_json: bool
) -> None:
    """Download and verify the weights called NAMES, whatever fails.

    A name is what keras_twostream.load takes: an architecture, a weight,
    hf://user/repo, local:folder.
    """
    from keras_twostream.pretrained import _maintenance

    places, failed = {}, []
    for name in names:
        try:
            files = _maintenance.pull(name, force=force, allow_http=allow_http)
        except TwoStreamError as error:
            failed.append({"name": name, "reason": str(error)})
            _console.say(f"{name}: {error}", err=True)
        else:
            places[name] = [str(file.path) for file in files]
    if as_json:
        _console.print_json({"files": places, "failed": failed})
    else:
        _say_places(places)
    if failed:
        click.get_current_context().exit(1)


@weights_command.command()
@click.argument("folder")
@click.argument("repo_id")
@click.option("--private", is_flag=True, help="Make a private repository.")
@click.option(
    "--license",
    "license_",
    default="",
    help="Licence of the weights, as apache-2.0; the folder's own by default.",
)
@click.option(
    "--data-terms",
    default="",
    help="Terms of the training data; the folder's own by default.",
)
@json_option
@debug_option
def push(
    folder: str,
    repo_id: str,
    private: bool,
    license_: str,
    data_terms: str,
    as_json: bool,
) -> None:
    """Publish FOLDER as REPO_ID on the Hub.

    FOLDER is what save_pretrained wrote, or the model/ of a training run.
    """
    from keras_twostream import hub

    address = hub.push_to_hub(
        folder,
        repo_id,
        license=license_,
        data_terms=data_terms,
        private=private,
    )
    if as_json:
        _console.print_json({"address": address})
    else:
        _console.say(f'keras_twostream.load("{address}")')


@weights_command.command()
@click.argument("pattern", default="*")
@click.option("--online", is_flag=True, help="Fetch and hash the files too.")
@_allow_http
@json_option
@debug_option
def verify(pattern: str, online: bool, allow_http: bool, as_json: bool) -> None:
    """Check every row of the catalogue, or those of PATTERN."""
    from keras_twostream.pretrained import _maintenance

    rows = pretrained.list_weights(pattern)
    if not rows:
        names = [spec.name for spec in pretrained.list_weights()]
        raise UnknownNameError(
            f"No weight matches {pattern!r}.{did_you_mean(pattern, names)}"
        )
    checks = [
        _maintenance.verify_row(spec, online=online, allow_http=allow_http)
        for spec in rows
    ]
    if as_json:
        table = [
            {"name": c.name, "problems": c.problems, "unlocked": c.unlocked}
            for c in checks
        ]
        _console.print_json({"weights": table})
    else:
        for check in checks:
            _console.say(_line(check))
    if any(check.problems for check in checks):
        click.get_current_context().exit(1)


@weights_command.command()
@click.argument("names", nargs=-1, required=True)
@_allow_http
@json_option
@debug_option
def lock(names: tuple[str, ...], allow_http: bool, as_json: bool) -> None:
    """Pin revision, hash and size of the rows called NAMES."""
    from keras_twostream.pretrained import _catalogue, _maintenance, _rows

    written, folder = {}, _catalogue.catalogue_folder()
    for name in names:
        row = pretrained.weight_spec(name)
        if not (folder / name / _catalogue.ROW).is_file():
            raise SpecError(
                f"{name} has no {_catalogue.ROW} in {folder} to pin. Weights "
                "that lie beside their config.json are pinned there, and a "
                "plugin's in its own rows."
            )
        spec = _maintenance.lock_row(row, allow_http=allow_http)
        written[name] = str(_rows.write_row(spec, folder))
    if as_json:
        _console.print_json(written)
    else:
        _say_places({name: [path] for name, path in written.items()})


@weights_command.command()
@click.option("--write", is_flag=True, help="Write weights/results.csv.")
@debug_option
def results(write: bool) -> None:
    """Print every weight's results as CSV: published or measured."""
    from keras_twostream.pretrained import _catalogue, _table

    rows = _catalogue.read_rows(_catalogue.catalogue_folder())
    text = _table.results_text(rows)
    if not write:
        _console.say(text, nl=False)
        return
    path = _catalogue.catalogue_folder() / _table.RESULTS
    _files.write_text(path, text)
    _console.say(str(path))


@weights_command.command()
@click.option(
    "--anew",
    is_flag=True,
    help="Build all of them, also those whose facts are kept.",
)
@debug_option
def networks(anew: bool) -> None:
    """Write weights/networks.json, from which `info` is quick."""
    from keras_twostream.cli import _networks

    for name in _networks.keep(anew=anew):
        _console.say(name)


@weights_command.command()
@click.argument("name")
@click.argument("folder")
@click.option("--half", is_flag=True, help="Store float16.")
@json_option
@debug_option
def convert(name: str, folder: str, half: bool, as_json: bool) -> None:
    """Write the weight NAME as a FOLDER in this library's format.

    NAME may also be a run's or model's folder, which --half makes smaller.
    """
    from keras_twostream.cli._files import check_writable, model_name
    from keras_twostream.pretrained import _select

    spec = _select.resolve(model_name(name), _select.DEFAULT, {})
    check_writable(Path(folder), room=spec.size, by="")
    from keras_twostream import hub

    saved = hub.save_pretrained(
        hub.load(spec),
        folder,
        dtype="float16" if half else None,
        license=spec.license,
        data_terms=spec.data_terms,
        origin=spec.origin,
        base=spec.base,
        metrics=spec.metrics,
        note=spec.note,
    )
    if as_json:
        _console.print_json({"folder": str(saved)})
    else:
        _console.say(f'keras_twostream.load("local:{saved}")')


def _say_places(places: Mapping[str, list[str]]) -> None:
    for name, paths in places.items():
        for path in paths:
            _console.say(f"{name}: {path}")


def _line(check) -> str:
    if check.problems:
        return f"{check.name}: {' '.join(check.problems)}"
    if check.unlocked:
        pins = ", ".join(check.unlocked)
        return f"{check.name}: fine; `weights lock` would pin {pins}"
    return f"{check.name}: fine"
