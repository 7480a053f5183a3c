"""Key maps from the tensor names of other libraries to ours.

Each function maps the keys of a file to our keys without the stream.
`LAYOUTS` are the values that a WeightSpec's `layout` may have.
"""

from keras_twostream.pretrained.keymaps._applications import (
    applications_inception_v3,
    applications_resnet,
    applications_vgg16,
    unit_gamma,
)
from keras_twostream.pretrained.keymaps._caffe import (
    caffe,
    plain,
    with_inverse_stds,
    with_variances,
)
from keras_twostream.pretrained.keymaps._inception import (
    googlenet,
    googlenet_as_i3d,
    inception_v3,
)
from keras_twostream.pretrained.keymaps._matconvnet import finish, matconvnet
from keras_twostream.pretrained.keymaps._names import (
    HEAD,
    KeyMap,
    fold_bias,
    identity,
)
from keras_twostream.pretrained.keymaps._raft import raft
from keras_twostream.pretrained.keymaps._resnet import (
    mmaction_resnet,
    torchvision_resnet,
)
from keras_twostream.pretrained.keymaps._vgg import (
    FLATTENED,
    vgg11_as_c3d,
    vgg16,
)
from keras_twostream.pretrained.keymaps._video import (
    C3D_FLATTENED,
    deepmind_i3d,
    mmaction_c3d,
    pytorch_i3d,
    r2plus1d,
    tsn,
)

LAYOUTS = {
    "torchvision_resnet": KeyMap(torchvision_resnet),
    "mmaction_resnet": KeyMap(mmaction_resnet),
    "vgg16": KeyMap(vgg16, flattened=FLATTENED),
    "vgg11_as_c3d": KeyMap(vgg11_as_c3d),
    "inception_v3": KeyMap(inception_v3),
    "googlenet": KeyMap(googlenet),
    "googlenet_as_i3d": KeyMap(googlenet_as_i3d),
    "deepmind_i3d": KeyMap(deepmind_i3d, torch=False),
    "pytorch_i3d": KeyMap(pytorch_i3d),
    "r2plus1d": KeyMap(r2plus1d),
    "tsn": KeyMap(tsn),
    "mmaction_c3d": KeyMap(mmaction_c3d, flattened=C3D_FLATTENED),
    "caffe": KeyMap(caffe, finish=plain, flattened=FLATTENED),
    "caffe_variance": KeyMap(caffe, finish=with_variances),
    "caffe_inverse_std": KeyMap(caffe, finish=with_inverse_stds),
    "matconvnet": KeyMap(matconvnet, torch=False, finish=finish),
    "identity": KeyMap(identity, torch=False),
    "raft": KeyMap(raft),
    "applications_vgg16": KeyMap(applications_vgg16, torch=False),
    "applications_resnet": KeyMap(
        applications_resnet, torch=False, finish=fold_bias
    ),
    "applications_inception_v3": KeyMap(
        applications_inception_v3, torch=False, finish=unit_gamma
    ),
}

__all__ = [
    "HEAD",
    "LAYOUTS",
    "KeyMap",
    "applications_inception_v3",
    "applications_resnet",
    "applications_vgg16",
    "caffe",
    "deepmind_i3d",
    "googlenet",
    "googlenet_as_i3d",
    "identity",
    "inception_v3",
    "matconvnet",
    "mmaction_c3d",
    "mmaction_resnet",
    "pytorch_i3d",
    "r2plus1d",
    "raft",
    "torchvision_resnet",
    "tsn",
    "vgg11_as_c3d",
    "vgg16",
]
