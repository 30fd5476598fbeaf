#!/usr/bin/env python3
"""Mounts an NFS export in user space, where the kernel has no NFS client: libnfs speaks to the server, FUSE to programs.

usage: mount.py URL FOLDER [PATIENCE_MS]

It behaves as a kernel's mount with the option `hard` does: while the server is away every operation waits, in the kernel,
until it is back, and is then carried out. Nothing is cached, and the server has each write on its disk before it is
acknowledged. After a restart the server has forgotten what clients had open: files are opened again, by path.

One operation at a time. Needs libnfs (libnfs-utils) and python3-fusepy of Debian.
"""

import ctypes
import errno
import os
import stat
import sys
import time

from fusepy import FUSE, FuseOSError, Operations

AGAIN = 0.1  # s between two attempts to reach the server
# What only a server that is there can say. Everything else is a reason to try again.
SAID = {
    errno.ENOENT, errno.EEXIST, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EFBIG, errno.ENOSPC,
    errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.EXDEV, errno.EMLINK,
}
# A fresh connection gives the same answer: it is the server's.
TWICE = {errno.EINVAL, errno.EIO, errno.ERANGE}

lib = ctypes.CDLL("libnfs.so.13", use_errno=True)


class Url(ctypes.Structure):
    _fields_ = [("server", ctypes.c_char_p), ("path", ctypes.c_char_p), ("file", ctypes.c_char_p)]


class Stat(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in "dev ino mode nlink uid gid rdev size blksize blocks atime mtime ctime "
        "atime_nsec mtime_nsec ctime_nsec used".split()
    ]


class Space(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in "f_bsize f_frsize f_blocks f_bfree f_bavail f_files f_ffree f_favail f_fsid f_flag f_namemax".split()
    ]


class Entry(ctypes.Structure):
    pass


Entry._fields_ = [("next", ctypes.POINTER(Entry)), ("name", ctypes.c_char_p)]

POINTER = ctypes.c_void_p
for name, result, arguments in [
    ("nfs_init_context", POINTER, []),
    ("nfs_destroy_context", None, [POINTER]),
    ("nfs_parse_url_dir", ctypes.POINTER(Url), [POINTER, ctypes.c_char_p]),
    ("nfs_set_timeout", None, [POINTER, ctypes.c_int]),
    ("nfs_set_autoreconnect", None, [POINTER, ctypes.c_int]),
    ("nfs_set_dircache", None, [POINTER, ctypes.c_int]),
    ("nfs_mount", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_char_p]),
    ("nfs_get_error", ctypes.c_char_p, [POINTER]),
    ("nfs_lstat64", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.POINTER(Stat)]),
    ("nfs_statvfs64", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.POINTER(Space)]),
    ("nfs_open2", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.POINTER(POINTER)]),
    ("nfs_close", ctypes.c_int, [POINTER, POINTER]),
    ("nfs_pread", ctypes.c_int, [POINTER, POINTER, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_char_p]),
    ("nfs_pwrite", ctypes.c_int, [POINTER, POINTER, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_char_p]),
    ("nfs_fsync", ctypes.c_int, [POINTER, POINTER]),
    ("nfs_truncate", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_uint64]),
    ("nfs_mkdir2", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_int]),
    ("nfs_rmdir", ctypes.c_int, [POINTER, ctypes.c_char_p]),
    ("nfs_unlink", ctypes.c_int, [POINTER, ctypes.c_char_p]),
    ("nfs_rename", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_char_p]),
    ("nfs_chmod", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_int]),
    ("nfs_opendir", ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.POINTER(POINTER)]),
    ("nfs_readdir", ctypes.POINTER(Entry), [POINTER, POINTER]),
    ("nfs_closedir", None, [POINTER, POINTER]),
]:
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments


class Export(Operations):
    """The export, as FUSE sees it."""

    use_ns = True

    def __init__(self, url, patience):
        self.url, self.patience = url.encode(), patience
        self.context = None
        self.number = 0  # of the connection
        self.files = {}  # by number: path, flags, and the handle with the connection that it belongs to
        self.next = 1
        self.connect()

    def connect(self):
        """Waits for nothing: succeeds or raises."""
        if self.context:
            lib.nfs_destroy_context(self.context)
            self.context = None
        context = lib.nfs_init_context()
        lib.nfs_set_autoreconnect(context, 0)
        lib.nfs_set_timeout(context, self.patience)
        url = lib.nfs_parse_url_dir(context, self.url)
        if not url:
            raise ValueError(f"no URL of an export: {self.url.decode()}")
        lib.nfs_set_dircache(context, 0)
        if lib.nfs_mount(context, url.contents.server, url.contents.path) < 0:
            why = (lib.nfs_get_error(context) or b"").decode(errors="replace")
            lib.nfs_destroy_context(context)
            raise ConnectionError(why)
        self.context = context
        self.number += 1

    def hard(self, act):
        """Carries out what returns a negative errno on failure, until the server itself has answered."""
        fresh = False
        while True:
            if self.context is None:
                try:
                    self.connect()
                    fresh = True
                except ConnectionError:
                    time.sleep(AGAIN)
                    continue
            done = act()
            if done >= 0:
                return done
            if -done in SAID or (fresh and -done in TWICE):
                raise FuseOSError(-done)
            lib.nfs_destroy_context(self.context)
            self.context = None

    def on(self, number, act):
        """The same with an open file, opened again on each connection."""
        file = self.files[number]

        def with_handle():
            if file["connection"] != self.number:
                handle = POINTER()
                opened = lib.nfs_open2(self.context, file["path"], file["flags"], 0, ctypes.byref(handle))
                if opened < 0:
                    return -errno.ESTALE if -opened == errno.ENOENT else opened
                file["handle"], file["connection"] = handle, self.number
            return act(file["handle"])

        return self.hard(with_handle)

    def remember(self, path, flags, handle):
        number, self.next = self.next, self.next + 1
        # Made once; and a server that forgot it has it on its disk. Each write is there before it is acknowledged.
        flags = (flags & os.O_ACCMODE) | os.O_SYNC
        self.files[number] = {"path": path, "flags": flags, "handle": handle, "connection": self.number}
        return number

    def getattr(self, path, fh=None):
        seen = Stat()
        self.hard(lambda: lib.nfs_lstat64(self.context, path.encode(), ctypes.byref(seen)))
        times = {f"st_{t}": getattr(seen, t) * 10**9 + getattr(seen, f"{t}_nsec") for t in ("atime", "mtime", "ctime")}
        return {f"st_{name}": getattr(seen, name) for name in ("mode", "nlink", "uid", "gid", "size")} | times

    def readdir(self, path, fh):
        folder = POINTER()
        self.hard(lambda: lib.nfs_opendir(self.context, path.encode(), ctypes.byref(folder)))
        names = []
        while entry := lib.nfs_readdir(self.context, folder):
            names.append(entry.contents.name.decode(errors="surrogateescape"))
        lib.nfs_closedir(self.context, folder)
        return names

    def statfs(self, path):
        seen = Space()
        self.hard(lambda: lib.nfs_statvfs64(self.context, path.encode(), ctypes.byref(seen)))
        wanted = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail")
        return {name: getattr(seen, name) for name in wanted}

    def open(self, path, flags):
        handle, path = POINTER(), path.encode()
        flags = (flags & (os.O_ACCMODE | os.O_TRUNC)) | os.O_SYNC
        self.hard(lambda: lib.nfs_open2(self.context, path, flags, 0, ctypes.byref(handle)))
        return self.remember(path, flags, handle)

    def create(self, path, mode, fi=None):
        handle, path = POINTER(), path.encode()
        # Not exclusively: the kernel has looked, and an attempt whose answer was lost must not fail the next one.
        flags = os.O_RDWR | os.O_CREAT | os.O_SYNC
        self.hard(lambda: lib.nfs_open2(self.context, path, flags, stat.S_IMODE(mode), ctypes.byref(handle)))
        return self.remember(path, flags, handle)

    def read(self, path, size, offset, fh):
        buffer = ctypes.create_string_buffer(size)
        done = self.on(fh, lambda handle: lib.nfs_pread(self.context, handle, offset, size, buffer))
        return buffer.raw[:done]

    def write(self, path, data, offset, fh):
        return self.on(fh, lambda handle: lib.nfs_pwrite(self.context, handle, offset, len(data), data))

    def fsync(self, path, datasync, fh):
        self.on(fh, lambda handle: lib.nfs_fsync(self.context, handle))
        return 0

    def flush(self, path, fh):
        return 0

    def release(self, path, fh):
        file = self.files.pop(fh)
        # On a connection that is gone there is nothing to close.
        if self.context and file["connection"] == self.number:
            lib.nfs_close(self.context, file["handle"])
        return 0

    def truncate(self, path, length, fh=None):
        self.hard(lambda: lib.nfs_truncate(self.context, path.encode(), length))

    def mkdir(self, path, mode):
        self.hard(lambda: lib.nfs_mkdir2(self.context, path.encode(), stat.S_IMODE(mode)))

    def rmdir(self, path):
        self.hard(lambda: lib.nfs_rmdir(self.context, path.encode()))

    def unlink(self, path):
        self.hard(lambda: lib.nfs_unlink(self.context, path.encode()))

    def rename(self, old, new):
        self.hard(lambda: lib.nfs_rename(self.context, old.encode(), new.encode()))

    def chmod(self, path, mode):
        self.hard(lambda: lib.nfs_chmod(self.context, path.encode(), stat.S_IMODE(mode)))

    def chown(self, path, uid, gid):
        raise FuseOSError(errno.EPERM)

    def utimens(self, path, times=None):
        return 0

    def fsyncdir(self, path, datasync, fh):
        # The server has what it acknowledged.
        return 0


if __name__ == "__main__":
    export = Export(sys.argv[1], int(sys.argv[3]) if len(sys.argv) > 3 else 1000)
    source = sys.argv[1].removeprefix("nfs://").split("?")[0].replace("/", ":/", 1)
    FUSE(
        export,
        sys.argv[2],
        foreground=True,
        nothreads=True,
        fsname=source,
        subtype="libnfs",
        direct_io=True,
        attr_timeout=0,
        entry_timeout=0,
        default_permissions=True,
        hard_remove=True,
        big_writes=True,
    )
