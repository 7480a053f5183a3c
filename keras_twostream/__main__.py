"""`python -m keras_twostream`: the command line."""

from keras_twostream.cli import main

main()
