"""`keras-twostream completion`: the script that completes commands."""

import click
from click.shell_completion import get_completion_class

from keras_twostream.cli import _console

PROGRAM = "keras-twostream"
SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_KERAS_TWOSTREAM_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print a script that completes commands and options with the tab key.

    \b
    bash: keras-twostream completion bash >> ~/.bashrc
    zsh:  keras-twostream completion zsh >> ~/.zshrc
    fish: keras-twostream completion fish \\
            > ~/.config/fish/completions/keras-twostream.fish
    """
    group = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"This click has no completion for {shell}.")
    # The functions alone: bash need not be there to print its script.
    completer = kind(group, {}, PROGRAM, _VARIABLE)
    _console.say(completer.source_template % completer.source_vars())
