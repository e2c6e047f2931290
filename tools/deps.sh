#!/bin/sh
# Install the Debian packages of tools/packages.txt that are missing, and say which.
# usage: tools/deps.sh run|test     (run: what `make run` needs; test: everything)
set -eu

tier=${1:-test}
case $tier in run | test) ;; *) echo "usage: tools/deps.sh run|test" >&2; exit 2 ;; esac
list=$(dirname "$0")/packages.txt

if ! [ -r /etc/debian_version ] || ! command -v apt-get >/dev/null; then
    echo "deps: this needs Debian 12 or 13 (no apt-get here); install by hand what $list names" >&2
    exit 1
fi
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_ID:-}")
case $release in
    12 | 13) ;;
    *) echo "deps: this is written for Debian 12 and 13, here is '${release:-unknown}'; trying the names of 13" >&2
       release=13 ;;
esac

wanted=$(awk -v release="$release" -v tier="$tier" \
    '$1 !~ /^#/ && NF && ($2 == "*" || $2 == release) && (tier == "test" || $3 == "run") { print $1 }' "$list")
missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "deps: every Debian package is here ($(echo "$wanted" | wc -l))"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "deps: these Debian packages are missing and only root can install them:$missing" >&2
    exit 1
fi

echo "deps: installing these Debian packages:"
for package in $missing; do
    awk -v package="$package" '$1 == package { $1 = $2 = $3 = ""; sub(/^ +/, ""); printf "  %-18s %s\n", package, $0 }' "$list"
done

# Servers are wanted as programs, not as running services of this machine: nothing is started.
policy=/usr/sbin/policy-rc.d
if ! [ -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
fi
had_ssh=yes
[ -e /lib/systemd/system/ssh.service ] || had_ssh=no

log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of words
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "deps: apt-get failed, see above; nothing of it was changed by this project" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
if [ $had_ssh = no ] && [ -d /run/systemd/system ]; then
    systemctl -q disable ssh.service
fi
echo "deps: installed"
