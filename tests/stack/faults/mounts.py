"""File systems of a row's own: an ext4 in a file, and the ends that it can come to.

The command runs in a mount namespace of its own, so that nothing stays mounted however it ends; each is unmounted in
its row all the same.
"""

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from ..processes import Failed

# From the kernel's uapi/linux/ext4.h: _IOR('X', 125, __u32).
_SHUTDOWN = 0x8004587D
# Nothing more reaches the device, not even the journal.
_NO_LOG_FLUSH = 2


def _run(*command) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stderr.decode(errors='replace').strip()}")


class Ext4:
    """An ext4 in a file, made with mkfs's defaults unless `options` say otherwise.

    The kernel may confirm a forced write that is under way as the file system ends, and not keep it: a program that does
    nothing but `pwrite` and `fdatasync` lost its last confirmed write in 8 of 300 shutdowns and 43 of 300 aborts (Linux
    6.18). A device that loses power confirms nothing afterwards, so what is confirmed after the end began does not count.
    """

    def __init__(self, image: Path, at: Path, mib: int, *options: str):
        self._options = options
        self._image = image
        self.at = at
        self._mib = mib
        self._is_mounted = False

    def make(self) -> None:
        """A new one in place of the old, mounted."""
        self.unmount()
        self._image.unlink(missing_ok=True)
        with open(self._image, "wb") as image:
            image.truncate(self._mib << 20)
        _run("mkfs.ext4", "-q", "-F", *self._options, self._image)
        self.mount()

    def mount(self) -> None:
        """Mounts it; its journal is replayed."""
        self.at.mkdir(parents=True, exist_ok=True)
        _run("mount", "-o", "loop", self._image, self.at)
        self._is_mounted = True

    def cut(self) -> None:
        """Power loss, as far as the file system goes: what it has not sent to its device never gets there."""
        directory = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(directory)

    def unmount(self) -> None:
        """Unmounts it, if it is mounted."""
        if self._is_mounted:
            _run("umount", self.at)
            self._is_mounted = False

    def abort(self) -> None:
        """What ext4 does after an error of its device: the journal ends, and every write fails as read-only."""
        _run("mount", "-o", "remount,abort", self.at)

    def read_only(self, is_so: bool) -> None:
        """Read-only from now on, or writable again; no file may be open for writing."""
        _run("mount", "-o", f"remount,{'ro' if is_so else 'rw'}", self.at)
