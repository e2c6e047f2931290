"""The kernel of the vm tier: Debian's cloud kernel for the release at hand, and the initramfs that boots it.

Nothing is installed: the package is downloaded by apt (which checks its signature), unpacked below
`.cache/vm/` and used from there. `python -m tests.vm.kernel` fetches it ahead of time.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "vm"
METAPACKAGE = "linux-image-cloud-amd64"

# What the initramfs must load before the shared root is there; everything else is loaded from the root.
EARLY_MODULES = ("virtio_pci", "virtiofs", "overlay", "virtio_blk", "virtio_console")


class KernelError(Exception):
    """The kernel could not be fetched or unpacked; the text says why and what to do."""


class Kernel(NamedTuple):
    release: str  # as `uname -r` says
    image: Path  # vmlinuz
    modules: Path  # the folder that holds lib/modules/<release>
    initramfs: Path


def _said(*command: str) -> str:
    """Standard output of a command; `KernelError` with what it printed when it fails."""
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise KernelError(f"`{' '.join(command)}` failed:\n{result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def _package() -> str:
    """The versioned package that the metapackage stands for, e.g. linux-image-6.1.0-40-cloud-amd64."""
    for attempt in (1, 2):
        lines = [line.split() for line in _said("apt-cache", "depends", METAPACKAGE).splitlines()]
        names = [words[1] for words in lines if words[0] == "Depends:" and words[1].startswith("linux-image-")]
        if names:
            return names[0]
        if attempt == 1:
            _said("apt-get", "update", "-q")
    raise KernelError(f"apt knows no package {METAPACKAGE}; is this Debian 12 or 13 on amd64?")


def _download(package: str, folder: Path) -> Path:
    """The package file, downloaded into `folder`; the package lists are renewed when the file has moved on."""
    # apt drops to its own user for downloads and cannot write here; -o says so instead of warning about it.
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package]
    for attempt in (1, 2):
        result = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        found = sorted(folder.glob(f"{package}_*.deb"))
        if result.returncode == 0 and found:
            return found[-1]
        if attempt == 1:
            _said("apt-get", "update", "-q")
    raise KernelError(f"apt-get could not download {package}:\n{result.stderr.strip()}")


def _unpack(package: str) -> Path:
    """Download and unpack a kernel package once; the folder it lies in."""
    done = CACHE / package
    if done.is_dir():
        return done
    work = CACHE / f"{package}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    archive = _download(package, work)
    _said("dpkg-deb", "--extract", str(archive), str(work))
    archive.unlink()
    # Debian 13 puts modules below usr/lib; one place for both.
    if not (work / "lib").exists():
        (work / "lib").symlink_to("usr/lib")
    release = next((work / "lib" / "modules").iterdir()).name
    _said("depmod", "-b", str(work), release)
    work.rename(done)
    return done


def _early_modules(folder: Path, release: str) -> list[Path]:
    """The modules of EARLY_MODULES and what they need, in loading order."""
    order: dict[Path, None] = {}
    for name in EARLY_MODULES:
        listing = _said("modprobe", "-d", str(folder), "-S", release, "--show-depends", name)
        for line in listing.splitlines():
            words = line.split()
            if words[0] == "insmod":
                order.setdefault(Path(words[1]))
    return list(order)


def _cpio(entries: Iterable[tuple[str, int, bytes]]) -> Iterator[bytes]:
    """A "newc" archive of (name, mode, content), all owned by root, as the kernel unpacks it
    (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        yield header + b"\0" * (-len(header) % 4)
        yield content + b"\0" * (-len(content) % 4)


def _init_script(modules: list[str], release: str, folder: Path) -> str:
    agent = Path(__file__).with_name("agent.py")
    load = "\n".join(f"busybox insmod /modules/{name}" for name in modules)
    return f"""#!/bin/busybox sh
# The host's files, read only by way of virtiofs, under a tmpfs that takes every write.
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
{load}
set -e
busybox mount -t virtiofs root /lower
busybox mount -t tmpfs -o size=60% over /over
busybox mkdir /over/upper /over/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work over /root
busybox mkdir -p /root/lib/modules/{release} /root/var/lib/reef /root/proc /root/sys /root/dev /root/run
busybox mount --bind /lower{folder}/lib/modules/{release} /root/lib/modules/{release}
if [ -b /dev/vda ]; then busybox mount -t ext4 /dev/vda /root/var/lib/reef; fi
for place in proc sys dev; do busybox mount --move /$place /root/$place; done
busybox mount -t tmpfs run /root/run
busybox mkdir -p /root/dev/pts /root/dev/shm
busybox mount -t devpts pts /root/dev/pts
busybox mount -t tmpfs shm /root/dev/shm
exec busybox switch_root /root /bin/sh -c 'mkdir -p /run/netns; /usr/bin/python3 {agent}; echo o >/proc/sysrq-trigger'
"""


def _initramfs(folder: Path, release: str) -> bytes:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise KernelError("the program `busybox` is not here: `make deps` installs it")
    modules = _early_modules(folder, release)
    names = [path.name.removesuffix(".xz") for path in modules]
    directory, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    entries = [(name, directory, b"") for name in ("bin", "dev", "proc", "sys", "lower", "over", "root", "modules")]
    entries.append(("bin/busybox", program, Path(busybox).read_bytes()))
    entries.append(("init", program, _init_script(names, release, folder).encode()))
    for path, name in zip(modules, names, strict=True):
        content = path.read_bytes()
        entries.append((f"modules/{name}", program, lzma.decompress(content) if path.suffix == ".xz" else content))
    return b"".join(_cpio(entries))


def kernel() -> Kernel:
    """The kernel to boot, fetched when it is not there yet.

    Raises `KernelError` when apt, the network or a program is lacking.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    # What was fetched stays in use until `make clean`: a run needs no network, and is repeatable.
    kept = CACHE / "package"
    if not (kept.exists() and (CACHE / kept.read_text(encoding="utf-8")).is_dir()):
        package = _package()
        _unpack(package)
        kept.write_text(package, encoding="utf-8")
    folder = CACHE / kept.read_text(encoding="utf-8")
    release = next((folder / "lib" / "modules").iterdir()).name
    image = folder / "boot" / f"vmlinuz-{release}"
    archive = CACHE / f"initramfs-{release}"
    archive.write_bytes(_initramfs(folder, release))
    return Kernel(release, image, folder, archive)


def main() -> int:
    try:
        found = kernel()
    except KernelError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    print(f"vm: the tests boot {found.image.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
