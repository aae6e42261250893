#!/bin/sh
# Installs what hartq needs from the distribution's own packages: Debian 12 and 13, Ubuntu 24.04.
#
#   scripts/setup.sh [run|plot|bench|peers|test|compile-commands|hooks]      test unless named
#
# `test` is everything that `make test` needs. `hooks` installs no package: it makes git use
# scripts/hooks/ in this checkout, unless core.hooksPath is set.
# Names what is missing, installs it with apt as root or through sudo without a question, else
# prints the command to type and ends with status 1. Does nothing, fast, when nothing is missing.
# QEMU=PATH names an emulator from elsewhere, PYTHON=PATH an interpreter.
set -u

qemu_oldest=7.2
qemu=${QEMU:-qemu-system-riscv64}
python=${PYTHON:-/usr/bin/python3}
missing=''  # one "what is missing|package or packages to choose from" a line

have() { command -v "$1" >/dev/null 2>&1; }

# need WHAT PACKAGE...: notes WHAT as missing; of several packages the first that exists is taken.
need() {
    what=$1
    shift
    missing="$missing$what|$*
"
}

need_command() { have "$1" || need "$@"; }

need_header() { # need_header FILE PACKAGE: anywhere the host compiler looks
    [ -e "/usr/include/$1" ] && return
    echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1 || need "$@"
}

need_module() {
    [ -n "${modules_missing:-}" ] || return 0
    case " $modules_missing " in *" $1 "*) need "Python module $1 (for $python)" "$2" ;; esac
}

check_cross() {
    need_command riscv64-unknown-elf-gcc gcc-riscv64-unknown-elf
    specs=$(riscv64-unknown-elf-gcc -print-file-name=picolibc.specs 2>/dev/null)
    [ -e "${specs:-missing}" ] || need 'picolibc.specs for riscv64-unknown-elf' \
        picolibc-riscv64-unknown-elf
    need_command make make
}

check_qemu() {
    if ! have "$qemu"; then
        if [ -n "${QEMU:-}" ]; then
            echo "setup: QEMU=$QEMU is not executable; unset it to use the distribution's" >&2
            exit 1
        fi
        need qemu-system-riscv64 qemu-system-riscv qemu-system-misc
        need "the guest's firmware (OpenSBI)" qemu-system-data
        return
    fi
    version=$("$qemu" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    if [ -z "$version" ]; then
        echo "setup: '$qemu --version' does not answer as QEMU does" >&2
        exit 1
    fi
    oldest=$(printf '%s\n' "$version" "$qemu_oldest" | sort -V | head -n 1)
    if [ "$oldest" != "$qemu_oldest" ]; then
        echo "setup: $qemu is version $version; hartq needs $qemu_oldest or newer." >&2
        echo "       Debian 12 and Ubuntu 24.04 have one; or name another with QEMU=PATH" >&2
        exit 1
    fi
    [ -n "${QEMU:-}" ] || check_firmware
}

check_firmware() {
    for file in /usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin \
        /usr/local/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin; do
        [ -e "$file" ] && return
    done
    # Another prefix than the distribution's brings its own.
    case $(command -v "$qemu") in
    /usr/bin/*) need "the guest's firmware (OpenSBI)" qemu-system-data ;;
    esac
}

check_python() { need_command python3 python3; }

check_plot() {
    modules='jinja2 matplotlib numpy tqdm'
    # shellcheck disable=SC2086 # the modules are words
    modules_missing=$("$python" -c 'import importlib.util as u, sys
print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])' $modules 2>/dev/null) ||
        modules_missing=$modules
    for module in $modules; do
        need_module "$module" "python3-$module"
    done
}

check_peers() {
    need_command apt-get apt
    need_command dpkg-deb dpkg
    need_command cpio cpio
    need_command fdtput device-tree-compiler
    need_command riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu
    libc=$(riscv64-linux-gnu-gcc -print-file-name=libc.a 2>/dev/null)
    [ -e "${libc:-missing}" ] || need 'libc.a for riscv64-linux-gnu' libc6-dev-riscv64-cross
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keyring" ] || need "$keyring" debian-archive-keyring
}

# What programs of the host are built with: the machine in virtual time, the unit tests.
check_host() {
    need_command gcc gcc
    need_header stdlib.h libc6-dev
}

check_test() {
    need_header cmocka.h libcmocka-dev
    need_header libfdt.h libfdt-dev
    need_command g++ g++
    need_command dtc device-tree-compiler
    need_command clang clang
    if have clang; then
        runtime=$(clang -print-file-name=libclang_rt.asan-"$(uname -m)".a)
        resources=$(clang -print-resource-dir)
        [ -e "$runtime" ] || [ -e "$resources/lib/linux/libclang_rt.asan-$(uname -m).a" ] ||
            need "clang's sanitizer runtime" "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev" \
                libclang-rt-dev
    else
        need "clang's sanitizer runtime" libclang-rt-dev
    fi
    need_command clang-format clang-format
    need_command clang-tidy clang-tidy
    need_command cppcheck cppcheck
    need_command shellcheck shellcheck
    need_command pyflakes3 pyflakes3
    need_command gcovr gcovr
    need_command spin spin
    need_command qemu-img qemu-utils
    need_command mcopy mtools
    [ -x /usr/sbin/mkfs.vfat ] || need_command mkfs.vfat dosfstools
    need_command cpio cpio
    need_command fio_jsonplus_clat2csv fio
    # A script that imports it; Debian 13's fio does not ask for it.
    fio_jsonplus_clat2csv --help >/dev/null 2>&1 ||
        need "Python module six (for fio_jsonplus_clat2csv)" python3-six
    have chromium-browser || need_command chromium chromium
    "$python" -c 'import jsonschema' 2>/dev/null ||
        need "Python module jsonschema (for $python)" python3-jsonschema
    need_command git git
}

check_bear() { need_command bear bear; }

# Git hooks, in a checkout of this project alone and where nobody has chosen others.
install_hooks() {
    top=$(cd "$(dirname "$0")/.." && pwd -P)
    [ "$(git -C "$top" rev-parse --show-toplevel 2>/dev/null)" = "$top" ] || return 0
    [ -z "$(git -C "$top" config core.hooksPath)" ] || return 0
    git -C "$top" config core.hooksPath scripts/hooks &&
        echo 'setup: git checks commit messages with scripts/hooks/commit-msg'
}

# The first of the named packages that this distribution has; the last if none is known.
choose() {
    for package in "$@"; do
        [ $# -eq 1 ] && break
        apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]' && break
    done
    echo "$package"
}

packages() {
    echo "$missing" | while IFS='|' read -r _ names; do
        # shellcheck disable=SC2086 # the names are words
        [ -z "$names" ] || choose $names
    done | sort -u | tr '\n' ' '
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

run_checks() {
    missing=''
    for each in $checks; do "check_$each"; done
}

install_missing() {
    log=$(mktemp) || exit 1
    trap 'rm -f "$log"' EXIT
    # An empty or outdated list is the usual cause of a failure: fetch the lists, then try again.
    for try in 1 2; do
        list=$(packages)
        if [ "$try" -eq 2 ] || ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; then
            echo 'setup: apt-get update'
            as_root apt-get update -q >"$log" 2>&1 || true
            list=$(packages)
        fi
        echo "setup: apt-get install $list"
        # shellcheck disable=SC2086 # a list of words
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends $list >"$log" 2>&1 && return 0
    done
    tail -n 15 "$log" >&2
    return 1
}

give_up() {
    echo "setup: $1. Install it yourself, then try again:" >&2
    echo "    apt-get update && apt-get install --no-install-recommends $(packages)" >&2
    exit 1
}

group=${1:-test}
case $group in
run) checks='cross qemu python' ;;
plot) checks='python plot' ;;
bench) checks='cross qemu python plot host' ;;
peers) checks='cross qemu python peers' ;;
test) checks='cross qemu python plot host test' ;;
compile-commands) checks='cross bear' ;;
hooks)
    install_hooks
    exit
    ;;
*)
    echo "usage: scripts/setup.sh [run|plot|bench|peers|test|compile-commands|hooks]" >&2
    exit 2
    ;;
esac

run_checks
[ -n "$missing" ] || exit 0
echo 'setup: missing:'
echo "$missing" | sed -n 's/^\(..*\)|.*/    \1/p'
have apt-get || give_up 'this system has no apt-get; the names below are those of Debian'
as_root true 2>/dev/null || give_up 'installing needs root, or sudo without a password'
install_missing || give_up 'apt-get failed (is the network there?)'
# A second look: a package that is there may still bring too old a version.
run_checks
[ -z "$missing" ] || give_up "still missing: $(echo "$missing" | sed -n 's/|.*//p' | tr '\n' ' ')"
echo 'setup: done'
