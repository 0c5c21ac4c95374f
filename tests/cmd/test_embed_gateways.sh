#!/bin/sh
# What scripts/embed-gateways takes and what it refuses. usage: test_embed_gateways.sh SCRIPT
set -eu
script=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/g"
touch "$dir/g/meson.build" "$dir/g/README.md"
printf '%s\n' 'say "\n" ??=' >"$dir/g/a.conf"
echo 'b' >"$dir/g/b.conf"

"$script" "$dir/out.c" "$dir/g" "$dir/g/a.conf" "$dir/g/b.conf"
grep -qF '{ "a.conf",' "$dir/out.c"
grep -qF '"say \"\\n\" \?\?=\n"' "$dir/out.c"
grep -qF 'gateway_template_count = 2;' "$dir/out.c"
rm "$dir/out.c"
if "$script" "$dir/out.c" "$dir/g" "$dir/g/a.conf" 2>"$dir/error" || [ -e "$dir/out.c" ]; then
	echo 'a file that nobody named was not refused'
	exit 1
fi
grep -q 'b.conf is not in meson.build' "$dir/error"
