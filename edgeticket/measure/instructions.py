"""Instructions that an inference retires in user space, counted by the kernel (perf_event_open(2)), where it allows it.

Most containers and virtual machines close that off; the gate then says so. The kernel counts the calling thread and
those it starts afterwards, so a session must be made under the counter to have its threads counted too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable

# x86-64, arm64 and the rest of the generic table; <asm/unistd.h>
_SYSTEM_CALL = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "armv7l": 364, "ppc64le": 319, "i686": 336}
_HARDWARE, _INSTRUCTIONS = 0, 1  # PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS
_ATTRIBUTES_SIZE = 64  # PERF_ATTR_SIZE_VER0
_INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HV = 1 << 1, 1 << 5, 1 << 6


class NotCountedError(Exception):
    """The kernel does not count here; the message says why."""


class Counter:
    """A counter that runs from its making until it is closed.

    Raises:
        NotCountedError: no permission, no counter in this processor, or another system than Linux.
    """

    def __init__(self) -> None:
        number = _SYSTEM_CALL.get(platform.machine()) if platform.system() == "Linux" else None
        if number is None:
            raise NotCountedError(f"not known for {platform.system()} on {platform.machine()}")
        flags = _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HV
        fields = struct.pack("<IIQQQQQ", _HARDWARE, _ATTRIBUTES_SIZE, _INSTRUCTIONS, 0, 0, 0, flags)
        attributes = ctypes.create_string_buffer(fields.ljust(_ATTRIBUTES_SIZE, b"\0"), _ATTRIBUTES_SIZE)
        call = ctypes.CDLL(None, use_errno=True).syscall
        this_thread, any_cpu, no_group = 0, -1, -1
        self._descriptor = int(call(number, attributes, this_thread, any_cpu, no_group, 0))
        if self._descriptor < 0:
            code = ctypes.get_errno()
            hint = " (see kernel.perf_event_paranoid)" if code in (errno.EACCES, errno.EPERM) else ""
            raise NotCountedError(f"the kernel answers: {os.strerror(code)}{hint}")

    def read(self) -> int:
        """Give the number of instructions so far."""
        return int(struct.unpack("<Q", os.read(self._descriptor, 8))[0])

    def close(self) -> None:
        """Give the counter back."""
        os.close(self._descriptor)


def count(run: Callable[[], object], runs: int = 5) -> int:
    """Give the fewest instructions of several runs, the caller's own few included.

    Raises:
        NotCountedError: see Counter.
    """
    counter = Counter()
    try:
        found = []
        for _ in range(runs):
            before = counter.read()
            run()
            found.append(counter.read() - before)
        return min(found)
    finally:
        counter.close()
