"""`keras-twostream weights`: pull, push, verify, lock, convert."""

import click

from keras_twostream import pretrained
from keras_twostream.cli import _console
from keras_twostream.cli._options import debug_option, json_option


@click.group("weights")
def weights_command() -> None:
    """Fetch, publish and check pretrained weights."""


@weights_command.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Download again.")
@json_option
@debug_option
def pull(names: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Download and verify the weights called NAMES.

    A name is what keras_twostream.load takes: an architecture, a weight,
    hf://user/repo, local:folder.
    """
    from keras_twostream.pretrained import _maintenance

    found = {
        name: [str(f.path) for f in _maintenance.pull(name, force=force)]
        for name in names
    }
    if as_json:
        _console.print_json(found)
        return
    for name, paths in found.items():
        for path in paths:
            click.echo(f"{name}: {path}")


@weights_command.command()
@click.argument("folder")
@click.argument("repo_id")
@click.option("--private", is_flag=True, help="Make a private repository.")
@json_option
@debug_option
def push(folder: str, repo_id: str, private: bool, as_json: bool) -> None:
    """Publish FOLDER, which save_pretrained wrote, as REPO_ID on the Hub."""
    from keras_twostream import hub

    address = hub.push_to_hub(folder, repo_id, private=private)
    if as_json:
        _console.print_json({"address": address})
    else:
        click.echo(f'keras_twostream.load("{address}")')


@weights_command.command()
@click.argument("pattern", default="*")
@click.option("--online", is_flag=True, help="Fetch and hash the files too.")
@json_option
@debug_option
def verify(pattern: str, online: bool, as_json: bool) -> None:
    """Check every row of the catalogue, or those of PATTERN."""
    from keras_twostream.pretrained import _maintenance

    checks = [
        _maintenance.verify_row(spec, online=online)
        for spec in pretrained.list_weights(pattern)
    ]
    if as_json:
        rows = [
            {"name": c.name, "problems": c.problems, "unlocked": c.unlocked}
            for c in checks
        ]
        _console.print_json({"weights": rows})
    else:
        for check in checks:
            click.echo(_line(check))
    if any(check.problems for check in checks):
        raise SystemExit(1)


@weights_command.command()
@click.argument("names", nargs=-1, required=True)
@json_option
@debug_option
def lock(names: tuple[str, ...], as_json: bool) -> None:
    """Pin revision, hash and size of the rows called NAMES."""
    from keras_twostream.pretrained import _catalogue, _maintenance, _rows

    written, folder = {}, _catalogue.catalogue_folder()
    for name in names:
        spec = _maintenance.lock_row(pretrained.weight_spec(name))
        written[name] = str(_rows.write_row(spec, folder))
    if as_json:
        _console.print_json(written)
    else:
        for name, path in written.items():
            click.echo(f"{name}: {path}")


@weights_command.command()
@click.argument("name")
@click.argument("folder")
@click.option("--half", is_flag=True, help="Store float16.")
@json_option
@debug_option
def convert(name: str, folder: str, half: bool, as_json: bool) -> None:
    """Write the weight NAME as a FOLDER in our format."""
    from keras_twostream import hub

    spec = pretrained.weight_spec(name)
    saved = hub.save_pretrained(
        hub.load(spec),
        folder,
        dtype="float16" if half else None,
        license=spec.license,
        data_terms=spec.data_terms,
        origin=spec.origin,
        base=spec.base,
        note=spec.note,
    )
    if as_json:
        _console.print_json({"folder": str(saved)})
    else:
        click.echo(f'keras_twostream.load("local:{saved}")')


def _line(check) -> str:
    if check.problems:
        return f"{check.name}: {' '.join(check.problems)}"
    if check.unlocked:
        pins = ", ".join(check.unlocked)
        return f"{check.name}: fine; `weights lock` would pin {pins}"
    return f"{check.name}: fine"
