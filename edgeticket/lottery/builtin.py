"""The names of the built-in tasks, which a command line completes without loading them."""

DEFAULT = "lenet-digits"
NAMES = (
    DEFAULT,
    "lenet-mnist",
    "conv2-cifar10",
    "conv4-cifar10",
    "conv6-cifar10",
    "resnet20-cifar10",
    "vgg19-cifar10",
)
