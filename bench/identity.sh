# shellcheck shell=bash disable=SC2154	# compare.sh sets what is not set here
# identity.sh: for compare.sh: lookups that begin with the user's token, beside those of
# a role that may name any user.
#
# The token is one of an issuer that is made here, signed once by RS256: after its first
# use, a session remembers it.

authenticated_calls=20000	# transactions of one turn

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# Once, before the databases are made: a key pair, its set of keys, and a token of $owner.
make_token() {
	local key=$work/issuer.pem now n signed
	now=$(date +%s)
	openssl genrsa -out "$key" 2048 2>/dev/null
	n=$(openssl rsa -in "$key" -noout -modulus | perl -ne 'print pack "H*", /=(\w+)/' | base64url)
	jwks=$(printf '{"keys": [{"kty": "RSA", "kid": "bench", "alg": "RS256", "n": "%s", "e": "AQAB"}]}' "$n")
	signed=$(printf '{"alg":"RS256","kid":"bench"}' | base64url).$(
		printf '{"iss":"bench","sub":"%s","aud":"bench","iat":%d,"exp":%d}' "$owner" "$now" $((now + 86400)) | base64url)
	token=$signed.$(printf '%s' "$signed" | openssl dgst -sha256 -sign "$key" -binary | base64url)
}

# In the database $1.
trust_issuer() {
	as_admin -d "$1" -v jwks="$jwks" >/dev/null <<-SQL
		SELECT key_vault.trust_issuer('bench', '{bench}', :'jwks');
	SQL
}

# CPU time of a remembered token in a transaction of its own, in microseconds, without what
# the transaction costs.
by_token() {
	local round=$1 database=straight_$size
	record authenticate - token "$round" \
		"$(as_app -d "$database" -v token="$token" <<<"CALL bench.authenticate(:'token', $authenticated_calls, NULL)")"
	session_options='' by_pgbench "$round" 2 token "$database" get@1 get_by_token@1
}
