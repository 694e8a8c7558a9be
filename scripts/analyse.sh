#!/usr/bin/env bash
# analyse.sh TOOL: static analysis of src/ by cppcheck, clang-tidy or scan-build.  A finding fails it.
#
# clang-tidy-quick leaves out clang's analyzer, which follows calls and takes nine tenths of the time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pg_config=${PG_CONFIG:-pg_config}

case "${1:-}" in
	cppcheck)
		# It reads no header of PostgreSQL's, and has to be told that ereport(ERROR) does not return
		cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability \
			-DPG_VERSION_NUM=150000 -DERROR=21 \
			-D'ereport(level, rest)=((level) >= ERROR ? exit(1) : (void) 0)' \
			-D'foreach(cell, list)=for (; (list) != 0;)' \
			--inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 -Isrc src
		;;
	clang-tidy | clang-tidy-quick)
		checks=()
		[[ $1 == clang-tidy ]] || checks=(--checks='-clang-analyzer-*')
		# PostgreSQL's headers are not ours to mend; an Assert tells it what cannot be
		find src -name '*.c' -print0 | xargs -0 -P "$(nproc)" -I '{}' \
			clang-tidy --quiet "${checks[@]}" --warnings-as-errors='*' '{}' -- \
			-std=gnu11 -D_GNU_SOURCE -DUSE_ASSERT_CHECKING -Isrc -isystem "$("$pg_config" --includedir-server)" 2>&1 |
			{ grep -vE '^[0-9]+ warnings? generated' || true; }
		;;
	scan-build)
		# make takes the compiler from PostgreSQL's settings, not from the environment
		built=$(mktemp -d)
		trap 'rm -rf "$built"' EXIT
		mkdir "$built/tree"
		cp -r Makefile key_vault.control key_vault--*.sql src "$built/tree"
		make -s -C "$built/tree" clean
		scan-build --status-bugs -o "$built/report" sh -c 'make -s -j "$(nproc)" -C "$1" with_llvm=no CC="$CC"' sh "$built/tree"
		;;
	*)
		echo "usage: scripts/analyse.sh cppcheck | clang-tidy | clang-tidy-quick | scan-build" >&2
		exit 2
		;;
esac
