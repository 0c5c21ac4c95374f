# shellcheck shell=sh disable=SC2034 # the package lists are used where this is sourced
# What the scripts beside this one share: where things are, how packages get here, how a build tree is
# made. Sourced, never run. The list of packages stands here once.
#
# BUILD_UNDER  folder that holds the build trees (default: the top of the tree)
# JOBS         parallel jobs (default: what nproc says)

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
BUILD_UNDER=${BUILD_UNDER:-$top}
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}

# What the program is made of. Python comes with meson.
packages_build='gcc libc6-dev pkg-config meson ninja-build libsodium-dev libssl-dev libjansson-dev
	libsqlite3-dev libmicrohttpd-dev libgnutls28-dev libyaml-dev libcurl4-openssl-dev
	libseccomp-dev curl ca-certificates'
# clang-format has a fixed version, because each one formats a little differently.
packages_test='check clang libclang-rt-dev clang-format-19 valgrind nodejs npm openssl sqlite3
	python3 python3-yaml jq procps util-linux gdb nginx-light haproxy apache2
	libapache2-mod-oauth2 libapache2-mod-auth-openidc caddy'
packages_bench='wrk check openssl python3 procps'

say()
{
	printf '== %s\n' "$*"
}

die()
{
	printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
	exit 1
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		die "must be root, or have sudo, to run: $*"
	fi
}

# A command under a name may come from elsewhere than Debian's package of it (a newer Node, say).
package_present()
{
	case $1 in
	nodejs) command -v node >/dev/null 2>&1 && return 0 ;;
	npm) command -v npm >/dev/null 2>&1 && return 0 ;;
	esac
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Packages of servers would start them, and a machine that runs tests or builds is none that serves:
# while they are installed, Debian's own switch for that says no (policy-rc.d; 101 is "not allowed").
# One that is there already is the machine's, and stays as it is.
install_packages()
(
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'as_root rm -f $policy' EXIT
		trap 'exit 1' INT TERM
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
		as_root chmod 755 $policy
	fi
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y install --no-install-recommends "$@"
)

# need_packages NAME...: installs those that are missing, and says which.
need_packages()
{
	missing=
	for package in "$@"; do
		package_present "$package" || missing="$missing $package"
	done
	if [ -z "$missing" ]; then
		say "packages: all $# are here"
		return 0
	fi
	command -v apt-get >/dev/null 2>&1 ||
		die "not a Debian: please install what corresponds to$missing"
	say "packages: installing$missing"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
	# shellcheck disable=SC2086 # a list
	install_packages $missing
}

# build_tree NAME [meson options]: configures $BUILD_UNDER/NAME where that has not been done with these
# options, then builds it ($targets of it, where that is set). A tree made by hand is used as it is. Sets
# $tree.
build_tree()
{
	tree=$BUILD_UNDER/$1
	shift
	say "build: $tree ($*)"
	if [ ! -f "$tree/build.ninja" ] ||
		{ [ -f "$tree/options" ] && [ "$(cat "$tree/options")" != "$*" ]; }; then
		rm -rf -- "$tree"
		meson setup "$@" "$tree" "$top" >"$BUILD_UNDER/meson.log" 2>&1 || {
			cat "$BUILD_UNDER/meson.log" >&2
			return 1
		}
		rm -f "$BUILD_UNDER/meson.log"
		printf '%s' "$*" >"$tree/options"
	fi
	# shellcheck disable=SC2086 # a list
	ninja -C "$tree" -j "$JOBS" ${targets:-} >"$tree/build.log" 2>&1 || {
		grep -v '^\[[0-9]*/[0-9]*\] \(Compiling\|Linking\|Generating\)' "$tree/build.log" >&2
		return 1
	}
}
