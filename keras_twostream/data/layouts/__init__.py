"""Layouts of frames and flow that other tools wrote.

| name | tool | files of a video | first | N frames give |
|---|---|---|---|---|
| `dense_flow` | TSN's dense_flow | img_00001, flow_x_00001, flow_y_00001 | 1 | N-1 images, N-1 fields |
| `denseflow` | open-mmlab's denseflow | img_00000, flow_x_00000, flow_y_00000 | 0 | N, N-1 |
| `mmaction2` | mmaction2's flow_extraction.py | img_00001, x_00001, y_00001 | 1 | N, N-1 |
| `gpu_flow` | twostreamfusion's gpu_flow | frame000001; u/, v/ beside | 1 | N, N-1 |
| `charades` | pytorch-i3d | ID-000001, ID-000001x, ID-000001y | 1 | N, N-1 |
| `i3d_npy` | kinetics-i3d | *_rgb.npy, *_flow.npy | - | T, T |

dense_flow keeps no image of the first frame, so its field k *ends* at image
k, where that of every other tool starts there.
"""  # noqa: E501

from keras_twostream._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
