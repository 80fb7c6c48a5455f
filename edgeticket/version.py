"""The version, which stands here alone: the build and the CMake project read it, too."""

__version__ = "0.2.0"
