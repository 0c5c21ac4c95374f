#!/bin/sh
# The service that is installed runs the binary that is installed, and differs in nothing else from the one
# that scripts/check-unit has judged. usage: test_service.sh BUILT SOURCE BINDIR
set -eu
grep -qx "ExecStart=$3/chancery serve" "$1" || {
	grep '^ExecStart=' "$1"
	exit 1
}
[ "$(grep -v '^ExecStart=' "$1")" = "$(grep -v '^ExecStart=' "$2")" ]
