#!/usr/bin/env bash
# docs.sh: the blocks of docs/deploy.md that name this test, in order, as they stand there.  Speaks TAP.
#
# docker is a stand-in, beside this file, that does the same with buildah.  Between the
# blocks is what the text around them says there is.  Needs root.

# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=../../scripts/roots.sh
source "$top/scripts/roots.sh"
# shellcheck source=images.sh
source "$top/test/deploy/images.sh"

is_root || die "making images needs root"
need_packages long
make_work
chmod 711 "$work"
exec 7>"$(roots_folder)/images.lock"
flock 7

export IMAGE_STORE=${IMAGE_STORE:-$work} DOCKER_STATE=$work/docker ARCHIVES=$work/archives
mkdir -p "$DOCKER_STATE"
for pair in 15:bookworm 17:trixie; do
	mkdir -p "$(roots_folder)/archives-${pair#*:}/partial"
	ln -s "$(roots_folder)/archives-${pair#*:}" "$ARCHIVES-${pair%:*}"
	postgres_image "localhost/postgres:${pair%:*}" "${pair%:*}" "${pair#*:}" 7>&-
done
checkout_into "$work/context"
mkdir "$work/bin"
cp "$top/test/deploy/docker" "$work/bin/"
cd "$work/context"

# shellcheck disable=SC2317		# the trap calls it
stop_left() {
	local file
	for file in "$DOCKER_STATE"/volumes/*/postmaster.pid; do [[ ! -e $file ]] || kill -INT "$(head -n 1 "$file")" 2>/dev/null || true; done
	for file in "$DOCKER_STATE"/*/net; do umount "$file" 2>/dev/null || true; done
}
trap 'stop_left; clean_up' EXIT

n=0 failed=0
said=''

# block TITLE PATTERN: the next block; what it prints has to match.
mapfile -d '' -t blocks < <(awk '
	/^<!-- by: test\/deploy\/docs.sh -->$/ { wanted = 1; next }
	wanted && /^```sh$/ { inside = 1; wanted = 0; next }
	inside && /^```$/ { printf "%c", 0; inside = 0; next }
	inside { print }' docs/deploy.md)
block() {
	local status=0
	said=$(umask 022; PATH=$work/bin:$PATH bash -e -o pipefail -c "${blocks[n]}" 2>&1 7>&-) || status=$?
	if [[ $status == 0 && $said =~ $2 ]]; then
		say "ok $((++n)) - $1"
	else
		say "not ok $((++n)) - $1: status $status"
		tail -n 25 <<<"$said" | sed 's/^/# /'
		failed=1
	fi
}
docker() { PATH=$work/bin:$PATH "$work/bin/docker" "$@" 7>&-; }
until_up() {
	local _
	for _ in {1..60}; do ! docker exec "$1" pg_isready -q -h 127.0.0.1 2>/dev/null || return 0; sleep 1; done
	cat "$DOCKER_STATE/$1/log"
	return 1
}

block 'the image is built' '.'
block 'it runs' '.'
until_up db || true
block 'a key is set and got as the backend'\''s role' 'AIzaSyExample-0{26}'
block 'a keyring is made by hand' '^$'
[[ $(<app.keyring) =~ ^[0-9a-f]{16}\ [A-Za-z0-9+/]{43}=\ 20 ]] || { say 'not ok - the keyring made by hand'; failed=1; }
block 'the database is dumped' '^$'
block 'the keyring is saved' '^$'
block 'the rehearsal opens everything' '1 row.*0 rows.*0 rows'
block 'and is removed' '^'
block 'a newer image goes on with the volumes' '^'
docker exec -i db psql -At -U postgres -d app -c "SELECT key_vault.get('user_a', 'gemini')" | grep -q AIzaSyExample ||
	{ say 'not ok - the key opens with the newer image'; failed=1; }

# What the text of the last block has: a server of 15 with keys
docker build -f deploy/Containerfile --build-arg PG_MAJOR=15 -t key_vault:15 . >/dev/null
docker run -d --name old -v old-data:/var/lib/postgresql/data -v keyring-15:/etc/postgresql/key_vault \
	-e POSTGRES_DB=app -e POSTGRES_PASSWORD=x -e KEY_VAULT_BACKEND_ROLE=app_backend key_vault:15 >/dev/null
until_up old || true
docker exec old psql -q -U postgres -d app -c "SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('x', 35))" >/dev/null
block 'from 15 to 17 everything opens' '1 row.*0 rows.*activate_root_key'
docker exec new psql -At -U postgres -d app -c "SELECT role, level, complete FROM key_vault.access" | grep -qx 'app_backend|service|t' ||
	{ say 'not ok - the backend keeps its level'; failed=1; }
grep -qE '^[0-9]+ [0-9a-f]{16}$' "$DOCKER_STATE/volumes/new-data/key_vault.root_keys" ||
	{ say 'not ok - the new data directory knows its root keys'; failed=1; }
docker stop new
docker stop db

[[ $n == "${#blocks[@]}" ]] || { say "not ok - ${#blocks[@]} blocks, $n run"; failed=1; }
say "1..$n"
exit "$failed"
