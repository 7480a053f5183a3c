"""`keras-twostream` and `python -m keras_twostream`: the command line."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it while it is imported, too."""
    try:
        from keras_twostream import cli

        cli.main()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)  # 128 and Ctrl-C's number, as in shells


if __name__ == "__main__":
    main()
