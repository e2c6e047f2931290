#!/bin/sh
# Try this project as a new user has it: a fresh Debian root with git, make and ca-certificates, a clone of
# what is committed here, one verb of the Makefile.
# usage: tools/fresh-debian.sh 12|13 [VERB [SECONDS]]      (as root; VERB: test; the lab of `run` runs for 10 s)
set -eu

case ${1:-} in
    12) suite=bookworm ;;
    13) suite=trixie ;;
    *) echo "usage: tools/fresh-debian.sh 12|13 [VERB [SECONDS]]" >&2; exit 2 ;;
esac
verb=${2:-test}
seconds=${3:-3600}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
checkout=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "fresh: this makes namespaces and needs root" >&2; exit 1; }

mkdir -p "$checkout/.cache/fresh"
base=$checkout/.cache/fresh/$suite.tar
if ! [ -e "$base" ]; then
    echo "fresh: making a Debian $1 root ($suite) from $mirror, kept in ${base#"$checkout"/}"
    mmdebstrap --quiet --mode=root --variant=minbase --include=git,make,ca-certificates "$suite" "$base.partial.tar" \
        "deb $mirror $suite main" "deb $mirror $suite-updates main" "deb $security $suite-security main"
    mv "$base.partial.tar" "$base"
fi

root=$(mktemp -d "$checkout/.cache/fresh/root-$1-XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
tar -C "$root" -xf "$base"
# A new user clones into root's home, which other users may not enter.
git clone --quiet --no-hardlinks "$checkout" "$root/root/reef"
if [ -n "$(git -C "$checkout" status --porcelain)" ]; then
    echo "fresh: note: uncommitted changes of the checkout are not part of this trial"
fi
# The way out is this machine's: its resolver and the authorities it trusts.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/hosts "$root/etc/hosts"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

kept=""
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL PIP_CERT SSL_CERT_FILE; do
    eval "value=\${$name:-}"
    # shellcheck disable=SC2154  # set by eval
    [ -z "$value" ] || kept="$kept $name=$value"
done

echo "fresh: Debian $(cat "$root/etc/debian_version"), make $verb"
started=$(date +%s)
status=0
# shellcheck disable=SC2016,SC2086  # expanded by the inner shell; a list of words
unshare --mount --pid --fork --kill-child --ipc --uts sh -eu -c '
    root=$1 verb=$2 seconds=$3 tier=$4; shift 4
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    cd "$root"
    pivot_root . mnt
    umount -l /mnt
    cd /root/reef
    # this shell stays the first process and reaps what its children leave behind
    env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" \
        timeout --signal INT --kill-after 60 "$seconds" make "$verb" LAB="--for 10s" TIER="$tier" </dev/null
' sh "$root" "$verb" "$seconds" "${TIER:-all}" $kept || status=$?
echo "fresh: Debian $1, make $verb: status $status after $(($(date +%s) - started)) s"
exit $status
