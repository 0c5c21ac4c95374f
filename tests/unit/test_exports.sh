#!/bin/sh
# What libchancery shows is what chancery.h declares, no more and no less.
#
#   test_exports.sh chancery.h libchancery.so libchancery.a libchancery-curl.so
set -eu

declared()
{
	tr '\n' ' ' <"$1" | grep -oE 'CHANCERY_API [^;(]*chancery_[a-z_]+\(' | grep -oE 'chancery_[a-z_]+\($' |
		tr -d '(' | sort
}

# same WHAT WANTED GOT
same()
{
	if [ "$2" != "$3" ]; then
		printf '%s shows\n%s\ninstead of\n%s\n' "$1" "$3" "$2"
		exit 1
	fi
}

all=$(declared "$1")
curl=$(printf '%s\n' "$all" | grep 'curl$')
own=$(printf '%s\n' "$all" | grep -v 'curl$')
[ "$(printf '%s\n' "$own" | wc -l)" -ge 10 ]
same "$2" "$own" "$(nm -D --defined-only "$2" | awk '{ print $3 }' | sort)"
same "$3" "$own" "$(nm -g --defined-only "$3" | awk 'NF == 3 { print $3 }' | sort)"
same "$4" "$curl" "$(nm -D --defined-only "$4" | awk '{ print $3 }' | sort)"
