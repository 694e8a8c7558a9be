#!/usr/bin/env bash
# layering.sh: what each room of src/ may hold.  Prints the lines that go against it.
#
# Includes go one way, api -> vault -> store -> server, and vault -> crypto, jose and
# format; these three are pure C.  Within vault, the rooms build on each
# other in one order.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0

# refuse REASON PATTERN PATH... [--exclude=FILE]: no line of code there may match.
refuse() {
	local reason=$1 hits
	shift
	hits=$(grep -rnE --include='*.[ch]' -e "$@" 2>/dev/null |
		grep -vE '^[^:]+:[0-9]+:[[:space:]]*(\*|/\*|//)' || true)
	[[ -n $hits ]] || return 0
	printf '%s:\n%s\n\n' "$reason" "$hits"
	failed=1
}

include='^[[:space:]]*#[[:space:]]*include[[:space:]]*'

while read -r room forbidden; do
	refuse "src/$room includes what stands above or beside it" "${include}\"($forbidden)/" "src/$room" --exclude-dir=redaction
done <<-'ROOMS'
	server api|vault|store|crypto|format|jose
	crypto api|vault|store|server|format|jose
	jose   api|vault|store|server|format|crypto
	format api|vault|store|server|crypto|jose
	store  api|vault|crypto|format|jose
	vault  api
	api    store|crypto|format|jose
ROOMS

# secrets asks which providers there are; onboarding and usage, in the same room, ask
# for secrets.
while read -r room forbidden; do
	refuse "src/vault/$room includes a room that builds on it" \
		"${include}\"vault/($forbidden)/" "src/vault/$room"
done <<-'ROOMS'
	identity  laptop|roots|tokens|audit|providers|secrets|moving|status
	laptop    identity|roots|tokens|audit|providers|secrets|moving|status
	roots     laptop|tokens|audit|providers|secrets|moving|status
	tokens    laptop|audit|providers|secrets|moving|status
	audit     laptop|tokens|secrets|moving|status
	use       identity|laptop|roots|tokens|audit|providers|secrets|moving|status
	providers roots|audit|moving|status
	secrets   moving|status
	moving    status
ROOMS
refuse 'src/server/redaction uses format, and nothing above' "${include}\"(api|vault|store|crypto|jose)/" src/server/redaction
refuse 'includes name the room, not the way there' "${include}\"\.\./" src

refuse 'crypto, format and jose are pure C' \
	"${include}[\"<](postgres|postgres_fe|c|fmgr)\.h|\b(ereport|elog|palloc0?|pfree|repalloc|MemoryContext[A-Za-z]*)\b" \
	src/crypto src/format src/jose

refuse 'libjose and jansson are met in src/jose only, in one header' \
	"${include}<(jose/|jansson)" src --exclude=library.h
refuse 'libjose and jansson stay in src/jose' "${include}\"jose/library" src

refuse 'every difference between server versions stands in src/server/compat.h' \
	'^[[:space:]]*#.*\bPG_(VERSION_NUM|MAJORVERSION)' src --exclude=compat.h

refuse 'cache callbacks are registered in src/server/invalidation.c, one for the whole library' \
	'\bCacheRegister(Relcache|Syscache)Callback\b' src --exclude=invalidation.c

refuse 'elog(ERROR) has no SQLSTATE; ereport it' '\belog\((ERROR|FATAL|PANIC)' src

# What people read (hints, or statements to type, with their semicolon) does not count
sql='"(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|LOCK|GRANT|REVOKE|CREATE|ALTER|DROP|CALL) '
for room in src/*.c src/api src/vault src/server; do
	hits=$(grep -rnE --include='*.[ch]' "$sql" "$room" 2>/dev/null | grep -vE 'err(msg|detail|hint)|;(\\n)?"' || true)
	[[ -z $hits ]] || { printf 'SQL text stands in src/store only:\n%s\n\n' "$hits"; failed=1; }
done
refuse 'SPI is called in src/store only' '\bSPI_[a-z_]+ ?\(' src/api src/vault src/server src/key_vault.c

# The one switch of the user that SQL runs as
switchers=$(grep -rlE --include='*.[ch]' '^[^*]*\bSetUserIdAndSecContext ?\(' src || true)
if [[ $(wc -l <<<"$switchers") -gt 1 ]]; then
	printf 'SetUserIdAndSecContext is called in one file only:\n%s\n\n' "$switchers"
	failed=1
fi

exit "$failed"
