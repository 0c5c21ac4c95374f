#!/bin/sh
# What scripts/embed-migrations takes and what it refuses. usage: test_embed.sh SCRIPT
set -eu
script=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/m"
touch "$dir/m/meson.build"
printf '%s\n' 'CREATE TABLE "a" (x TEXT DEFAULT '"'"'\n??='"'"');' >"$dir/m/0001_a.sql"
echo 'SELECT 2;' >"$dir/m/0002_b.sql"
failures=0

takes()
{
	if ! "$script" "$dir/out.c" "$dir/m" "$@" 2>"$dir/error"; then
		echo "refused: $*: $(cat "$dir/error")"
		failures=$((failures + 1))
	fi
}

# refuses WORDS FILE...: WORDS are in the complaint, and no file is left behind
refuses()
{
	words=$1
	shift
	rm -f "$dir/out.c"
	if "$script" "$dir/out.c" "$dir/m" "$@" 2>"$dir/error" || [ -e "$dir/out.c" ] ||
		! grep -q "$words" "$dir/error"; then
		echo "not refused as '$words': $*: $(cat "$dir/error")"
		failures=$((failures + 1))
	fi
}

takes "$dir/m/0001_a.sql" "$dir/m/0002_b.sql"
grep -qF 'CREATE TABLE \"a\" (x TEXT DEFAULT '"'"'\\n\?\?='"'"');\n"' "$dir/out.c" || {
	echo "text was not quoted for C"
	failures=$((failures + 1))
}
grep -q 'migration_count = 2;' "$dir/out.c" || failures=$((failures + 1))

refuses 'is not in meson.build' "$dir/m/0001_a.sql"
refuses 'expected number 0001' "$dir/m/0002_b.sql" "$dir/m/0001_a.sql"
refuses 'expected number 0002' "$dir/m/0001_a.sql" "$dir/m/0001_a.sql" "$dir/m/0002_b.sql"
touch "$dir/m/.0003_c.sql.swp"
refuses 'swp is not in meson.build' "$dir/m/0001_a.sql" "$dir/m/0002_b.sql"
rm "$dir/m/.0003_c.sql.swp"
mv "$dir/m/0002_b.sql" "$dir/m/0003_b.sql"
refuses 'expected number 0002' "$dir/m/0001_a.sql" "$dir/m/0003_b.sql"
mv "$dir/m/0003_b.sql" "$dir/m/2_b.sql"
refuses 'names are NNNN_what.sql' "$dir/m/0001_a.sql" "$dir/m/2_b.sql"

exit "$failures"
