#!/usr/bin/env bash
# token.sh: instructions for verifying a token, by libjose alone and by all of src/jose.
#
# Counted by valgrind's callgrind, so that a busy machine changes nothing: the difference
# between 60 tokens and 10, of each algorithm.  Prints Markdown.  The aim: a token costs at
# most 1.2 times what libjose takes for its signature.

# shellcheck source-path=SCRIPTDIR/../scripts source=../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

need_packages demo test
make_work
cd "$top"
gcc -std=c11 -O2 -DKV_JOSE_LINKED -Isrc -Itest/unit -o "$work/token" bench/token.c src/jose/*.c -lcrypto -ljose -ljansson

# instructions WHO ALGORITHM COUNT: those of the verifying, and not of what is made before.
instructions() {
	local function=verify_by_us
	[[ $1 == ours ]] || function=verify_by_libjose
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$function" "$work/token" "$@" 2>&1 >/dev/null |
		sed -nE 's/.*Collected : ([0-9]+).*/\1/p'
}

# per_token WHO ALGORITHM
per_token() {
	local few many
	few=$(instructions "$1" "$2" 10)
	many=$(instructions "$1" "$2" 60)
	say $(((many - few) / 50))
}

say '| algorithm | libjose alone | with all that is asked | ratio |' '|---|---|---|---|'
for algorithm in RS256 PS256 ES256 ES384 HS256; do
	libjose=$(per_token libjose "$algorithm")
	ours=$(per_token ours "$algorithm")
	say "| $algorithm | $libjose | $ours | $(awk "BEGIN { printf \"%.2f\", $ours / $libjose }") |"
done
