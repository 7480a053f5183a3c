"""The packed cache: frames and flow of a video in one file, computed once.

A packed file is a safetensors file that any reader of that format opens:

| tensor | type | what it holds |
|---|---|---|
| `bytes` | U8 (n,) | encoded frames and flow fields, one after the other |
| `rgb` | I64 (N, 2) | start and length of each frame in `bytes` |
| `flow` | I64 (N-1, 2) | start and length of the field from frame i to i+1 |

Its metadata hold the `Contract` under which it was made, the size of its
frames and where it came from. A folder of packed files has one contract, in
`cache.json`, a line for each video in `manifest.jsonl`, and the folders that
the videos came from in `roots.json`.
"""

from keras_twostream._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
