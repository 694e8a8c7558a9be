#!/usr/bin/env bash
# check.sh [--long | --server-tests]: every test; the last line is `N passed, N failed`.
#
# Installs the Debian packages that are missing, builds key_vault with warnings
# as errors, and tests it on throwaway servers in a temporary folder.  --long
# adds what takes longer: slow tests, minutes of fuzzing, the benchmarks, and other
# PostgreSQL versions.  --server-tests leaves out what needs no server, and the
# examples.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mode=${1:-}
[[ $# -le 1 && $mode =~ ^(|--long|--server-tests)$ ]] || die "usage: scripts/check.sh [--long | --server-tests]"
is_long() { [[ $mode == --long ]]; }

# --- Steps ------------------------------------------------------------------

# How many single tests a log tells of, as "passed failed": TAP and pg_regress'
# own lines, else the last line of another check.sh.
tally() {
	awk '
		/^ok [0-9]+/ && !/# SKIP/ { ok++ }
		/^not ok [0-9]+/ { bad++ }
		/^(test| {3,}) *[^ ]+ +\.\.\. +ok/ { ok++ }
		/^(test| {3,}) *[^ ]+ +\.\.\. +FAILED/ { bad++ }
		/\(Wstat: .* Failed: 0\)/ { bad++ }			# a TAP file that ended early
		/^[0-9]+ passed, [0-9]+ failed$/ { ok = $1; bad = $3 }
		END { print ok + 0, bad + 0 }' "$1"
}

skipped_in() {
	sed -nE -e 's/^(1\.\.0|ok [0-9]+).*# SKIP:? *(.*)/\2/Ip' -e 's/^.* \.+ skipped: (.*)/\1/p' "$1" | sort | uniq -c |
		sed -E 's/^ *([0-9]+) (.*)/; \1 skipped: \2/' | tr -d '\n'
}

# What of a log to show when its step failed: the failures themselves, and the end.
excerpt() {
	{
		grep -E -A 8 '^not ok|^# +Failed test|\.\.\. +FAILED' "$1" | head -n 60 || true
		tail -n 30 "$1"
	} | sed 's/^/    /'
}

# step NAME COMMAND...: runs it into a log, counts, and says how it went.  A step
# that counts nothing counts as one test, unless it has skipped all of them.
step() {
	local name=$1 log=$logs/$1.log status=0 start=$SECONDS passed failed seconds skipped
	shift
	"$@" >"$log" 2>&1 </dev/null || status=$?
	seconds=$((SECONDS - start))
	read -r passed failed < <(tally "$log")
	skipped=$(skipped_in "$log")
	if ((status == 0 && passed + failed == 0)) && [[ -z $skipped ]]; then passed=1; fi
	if ((status != 0 && failed == 0)); then failed=1; fi
	say "$passed $failed" >>"$logs/counts"
	if ((failed)); then
		excerpt "$log"
		say "FAILED $name ($failed of $((passed + failed)) tests, $seconds seconds): $log"
	else
		say "$(if ((passed)); then say ok; else say skipped; fi) $name ($passed tests, $seconds seconds$skipped)"
	fi
}

# skip NAME REASON
skip() { say "skipped $1 ($2)"; }

# step_of PATTERN NAME COMMAND...: a step, if there are such files.
step_of() {
	if compgen -G "$1" >/dev/null; then step "${@:2}"; else skip "$2" "there is no $1"; fi
}

# --- Tests on servers -------------------------------------------------------

installcheck() { as_server make -s installcheck "$@"; }

regress() {
	installcheck PGUSER=postgres ISOLATION= TAP_TESTS= || { cat regression.diffs; return 1; }
}

isolation() {
	installcheck PGUSER=postgres REGRESS= TAP_TESTS= || { cat output_iso/regression.diffs; return 1; }
}

# Files as only root can make them: one that neither the server's user nor root owns, and
# keyrings of root's, one that all may read, one that the server's group may.
files_of_others() {
	local key
	is_root || sudo -n true || return 0
	as_root install -m 0444 -o nobody -g nogroup /dev/null "$work/tmp/of_nobody"
	key=$(printf '%032d' 7)
	printf '%s %s 2026-01-31T23:59:59Z\n' "$(printf 'key_vault root key v1%s' "$key" | sha256sum | cut -c1-16)" \
		"$(printf '%s' "$key" | base64 -w 0)" | as_root install -m 0444 -o root -g root /dev/stdin "$work/tmp/of_root"
	as_root install -m 0640 -o root -g "$(id -g "$(server_user)")" "$work/tmp/of_root" "$work/tmp/of_root_for_group"
}

# tap NAME=VALUE...: with further variables for make
tap() {
	files_of_others
	installcheck REGRESS= ISOLATION= PROVE_FLAGS="-j$(($(nproc) + 1)) -v --timer" KV_LONG="$(is_long && say 1)" \
		KV_SQL_CORPUS="${KV_SQL_CORPUS:-}" KV_OBJECTS="${KV_OBJECTS:-}" \
		KV_FILE_OF_NOBODY="$work/tmp/of_nobody" KV_FILE_OF_ROOT="$work/tmp/of_root" "$@" ||
		{ keep_server_logs; return 1; }
}

# What the servers of TAP tests wrote is worth a look when one failed.
keep_server_logs() {
	[[ ! -d tmp_check/log ]] || cp -r tmp_check/log "$logs/tap-servers"
}

has_citus() { [[ -e $("$pg_config" --sharedir)/extension/citus.control ]]; }

# Where the server that is tested has Citus, all that is said of one without holds there, too:
# regress and isolation in databases that have it, and with --long TAP on servers that preload
# it.  The tests of distributed keys are among TAP's own, and say there that they are skipped.
citus_tests() {
	local files
	if ! has_citus; then
		skip citus 'the server has no Citus: PG_CONFIG can name one that has'
		return
	fi
	step citus-undistributed tap PROVE_TESTS=test/t/140_citus_undistributed.pl KV_LONG=1
	if ! is_long; then
		skip citus-tap 'takes minutes: --long has it'
		return
	fi
	files=$(find test/t -name '*.pl' ! -name '*_citus*' | sort | tr '\n' ' ')
	step citus-tap tap PROVE_TESTS="$files" KV_CITUS=1
}

# The demo goes through, and shows what it is to show.
demo() {
	local what
	"$top/scripts/demo.sh" | tee "$work/demo.out" || return
	for what in '^ AIzaSy\w{33}$' '^ sk-proj-\w{48}$' 'SQLSTATE 42501' '^ gemini .*\| \w{4} \| active' \
		'^ user_a .*\| 02[0-9a-f]{46}\.\.\.$' 'SQLSTATE XX001' '^ root_key +\| ok' 'What to type next:'; do
		grep -qE -e "$what" "$work/demo.out" || { say "the demo did not show: $what"; return 1; }
	done
	what_readme_shows | while IFS= read -r what; do
		grep -qE -e "$what" "$work/demo.out" || { say "the README shows of the demo, which did not: $what"; return 1; }
	done
}

# The lines that the README shows of the demo, as patterns: ... stands for anything.
what_readme_shows() {
	sed -n '/^<!-- shows: scripts\/demo.sh -->$/,/^```$/p' "$top/README.md" | grep -vE '^(<!--.*|```.*|)$' |
		sed -E -e 's/[][\.*^$()+?{}|]/\\&/g' -e 's/\\\.\\\.\\\./.*/g' -e 's/.*/^&$/'
}

# The demo that stays shows an address, where there is a page, and how to stop it all.
demo_keep() {
	local out=$work/keep.out folder status=0
	"$top/scripts/demo.sh" --keep | tee "$out" || return
	/usr/bin/python3 - "$(grep -oE 'http://[^ ]+/onboarding#[^ ]+' "$out")" <<-'PYTHON' || status=1
		import sys, urllib.request
		page, token = sys.argv[1].split("#")
		assert b"<html" in urllib.request.urlopen(page).read()
		asked = urllib.request.Request(page.replace("/onboarding", "/api/onboarding"), headers={"Authorization": "Bearer " + token})
		assert b'"user_id":"user_a"' in urllib.request.urlopen(asked).read()
	PYTHON
	folder=$(sed -nE 's/^ +kill .* rm -rf (.*)/\1/p' "$out")
	[[ -d $folder ]] && bash -c "$(grep -E '^ +kill ' "$out")" && [[ ! -e $folder && $status == 0 ]]
}

# Whether this is the root of Debian 13, where other clients are tested than on Debian 12.
has_newer_clients() { [[ $mode == --server-tests ]] && grep -qx 'VERSION_CODENAME=trixie' /etc/os-release; }

server_tests() {
	if [[ ! -e $work/built ]]; then skip 'regress, isolation, tap' 'there is no build'; return; fi
	step demo demo
	start_server <<-CONF
		key_vault.keyring_file = '$work/%d.keyring'
	CONF
	step_of 'sql/*.sql' regress regress
	step_of 'test/isolation/specs/*.spec' isolation isolation
	step_of 'test/t/*.pl' tap tap
	citus_tests
	! has_newer_clients || step clients as_server test/clients/test.sh --python
}

# These start servers of their own.
example_tests() {
	if [[ ! -e $work/built ]]; then skip 'examples, clients' 'there is no build'; return; fi
	step demo-keep demo_keep
	for test in examples/*/test.sh; do
		[[ ! -x $test ]] || step "example-$(basename "${test%/*}")" as_server "${network[@]}" "$test"
	done
	step clients as_server "${network[@]}" test/clients/test.sh "$mode"
}

# --- Tests without a server -------------------------------------------------

lint() {
	step layering as_server scripts/layering.sh
	step layout as_server scripts/layout.sh
	step shellcheck as_server sh -c 'find . -name "*.sh" | xargs shellcheck -x -e SC2016 .ci/run'
	step cppcheck as_server scripts/analyse.sh cppcheck
	if ! is_long; then
		step clang-tidy as_server scripts/analyse.sh clang-tidy-quick
		skip clang-analyzer 'takes minutes: --long has it'
		return
	fi
	# clang-tidy runs the same analyzer; scan-build follows the compiler's own calls
	step clang-tidy as_server scripts/analyse.sh clang-tidy
	step scan-build as_server scripts/analyse.sh scan-build
}

# The npm packages that a unit test compares with are fetched once, not each time.
unit() {
	local cached folder status=0
	cached=$(cache_folder)
	as_server mkdir -p test/unit/build
	for folder in npm npm_jose; do
		[[ ! -d $cached/$folder ]] || as_server cp -r "$cached/$folder" test/unit/build/
	done
	as_server "${network[@]}" make -s -C test/unit check KV_LONG="$(is_long && say 1)" || status=$?
	for folder in npm npm_jose; do
		[[ -d $cached/$folder || ! -d test/unit/build/$folder/node_modules ]] ||
			cp -r "test/unit/build/$folder" "$cached/$folder"
	done
	return "$status"
}

# Each target for some seconds.
fuzz() {
	local target n=0 seconds=2
	! is_long || seconds=60
	for target in test/fuzz/fuzz_*.c; do
		target=$(basename "${target#*/fuzz_}" .c)
		if as_server make -s -C test/fuzz "check-$target" FUZZ_SECONDS="$seconds"; then
			say "ok $((++n)) - $target"
		else
			say "not ok $((++n)) - $target"
		fi
	done
}

other_tests() {
	step_of test/unit/Makefile unit unit
	step_of test/fuzz/Makefile fuzz fuzz
	step dist as_server test/package/archive.sh
	lint
	example_tests
}

# --- What takes longer ------------------------------------------------------

benchmarks() {
	step bench-compare "$top/bench/compare.sh" --long
	step bench-rotation "$top/bench/rotation.sh" --long
	step bench-token "$top/bench/token.sh"
	step bench-audit env ROUNDS=1 PAIRS=3 SECONDS_EACH=1 "$top/bench/audit.sh"
	if has_citus; then step bench-citus "$top/bench/citus.sh"; fi
}

other_versions() {
	other_version 17 trixie
	other_version 18 sid
	other_version 19 experimental
}

other_version() {
	if is_root; then step "postgresql-$1" "$top/scripts/versions.sh" "$@"; else skip "postgresql-$1" 'making a Debian root needs root'; fi
}

# The Debian packages, each in a bare root of its suite.
packages() {
	local suite
	for suite in bookworm trixie sid; do
		if is_root; then step "package-$suite" "$top/test/package/check.sh" "$suite"; else skip "package-$suite" 'making a Debian root needs root'; fi
	done
}

# The images of deploy/, and what deploy/compose.yaml starts.
images() {
	if ! is_root; then skip images 'making images needs root'; return; fi
	mkdir -p "$work/images"
	export IMAGE_STORE=$work/images
	step image-17 "$top/test/deploy/check.sh" 17 trixie
	step compose "$top/test/deploy/compose.sh" bookworm
	step deploy-docs "$top/test/deploy/docs.sh"
}

deployment() { packages; images; }

# --- All of it --------------------------------------------------------------

# How npm reaches its registry from here
network=()
for name in http_proxy https_proxy no_proxy npm_config_registry NODE_EXTRA_CA_CERTS; do
	[[ -z ${!name:-} ]] || network+=("$name=${!name}")
done

sections=(demo test)
[[ $mode == --server-tests ]] || sections+=(lint examples clients browser)
! is_long || sections+=(long clients-long)
! has_newer_clients || sections+=(clients-python)
need_packages "${sections[@]}"

make_work
logs=$(new_log_folder)
say "$("$pg_config" --version); logs in $logs"

# PostgreSQL's own headers are not ours to mend, its callbacks have parameters
# that ours need not, what is left out of an initializer is zero, and what gcc
# says of longjmp is wrong once functions are inlined
warnings="-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -Wno-clobbered"
warnings+=" -isystem $("$pg_config" --includedir-server)"
# Bitcode takes as long to compile as the code, and nothing here reads it
bitcode=(with_llvm=no)
! is_long || bitcode=()
step build build check COPT="$warnings" "${bitcode[@]}"
cd "$work/tree"
# The demo and scripts/dev.sh compile the same files, --long from nothing
is_long || export KV_OBJECTS=$work/tree

# run LANE...: the steps of each lane, beside the other lanes'.
run() {
	local lane
	set -m		# each has a process group of its own, which clean_up ends
	for lane; do
		"$lane" &
		pids+=($!)
	done
	set +m
	for lane in "${pids[@]}"; do
		wait "$lane" || say '0 1' >>"$logs/counts"
	done
	pids=()
}

# The other versions come first: the test of pg_upgrade uses the servers that they install
! is_long || run other_versions deployment
case "$mode" in
	--server-tests) run server_tests ;;
	*) run server_tests other_tests ;;
esac
! is_long || run benchmarks

awk '{ ok += $1; bad += $2 } END { print ok + 0 " passed, " bad + 0 " failed"; exit bad > 0 || ok == 0 }' "$logs/counts"
