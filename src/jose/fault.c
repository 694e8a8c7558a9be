/*
 * fault.c
 *		Words for what is wrong with tokens and sets of keys.
 *
 * None of them holds a byte of what was read.
 */
#include "fault.h"

const char *
kv_token_fault_text(KvTokenFault fault)
{
	switch (fault)
	{
		case KV_TOKEN_OK:
			return "no error";
		case KV_TOKEN_TOO_LONG:
			return "the token is longer than 16 KiB";
		case KV_TOKEN_NOT_COMPACT:
			return "the token is not a signed JWT in compact form";
		case KV_TOKEN_ENCRYPTED:
			return "the token is encrypted, not signed";
		case KV_TOKEN_BASE64URL:
			return "a part of the token is not base64url without padding";
		case KV_TOKEN_HEADER:
			return "the token's header is not valid";
		case KV_TOKEN_CLAIMS:
			return "the token's claims are not one JSON object";
		case KV_TOKEN_DUPLICATE:
			return "the token has the same member twice";
		case KV_TOKEN_TOO_DEEP:
			return "the token's JSON is nested too deep";
		case KV_TOKEN_CRITICAL:
			return "the token demands extensions (crit)";
		case KV_TOKEN_UNSIGNED:
			return "the token is not signed";
		case KV_TOKEN_ALGORITHM:
			return "the token's algorithm is not supported";
		case KV_TOKEN_UNKNOWN_KEY:
			return "the issuer has no such key";
		case KV_TOKEN_KEY_UNNAMED:
			return "the token does not say which of the issuer's keys signed it";
		case KV_TOKEN_KEY_ALGORITHM:
			return "the token's algorithm is not the one that the key is for";
		case KV_TOKEN_SIGNATURE:
			return "the token's signature does not match";
		case KV_TOKEN_ISSUER:
			return "the token names no issuer";
		case KV_TOKEN_AUDIENCE:
			return "the token is not for this audience";
		case KV_TOKEN_NO_EXPIRY:
			return "the token does not say when it expires (exp)";
		case KV_TOKEN_NO_ISSUE_TIME:
			return "the token does not say when it was issued (iat)";
		case KV_TOKEN_TIME:
			return "a time in the token is not valid";
		case KV_TOKEN_EXPIRED:
			return "the token has expired";
		case KV_TOKEN_NOT_YET:
			return "the token is not valid yet (nbf)";
		case KV_TOKEN_ISSUED_AHEAD:
			return "the token was issued in the future (iat)";
		case KV_TOKEN_TOO_OLD:
			return "the token is older than its issuer's max_age";
		case KV_TOKEN_SUBJECT:
			return "the token names no valid user";
		case KV_TOKEN_TEAM:
			return "the token names no valid team";
		case KV_TOKEN_NO_MEMORY:
			return "out of memory";
		case KV_TOKEN_LIBRARY:
			return "libjose is missing, or another library has replaced jansson's allocator";
	}
	return "unknown fault";
}

const char *
kv_key_set_fault_text(KvKeySetFault fault)
{
	switch (fault)
	{
		case KV_KEYS_OK:
			return "no error";
		case KV_KEYS_TOO_LONG:
			return "the key set is longer than 128 KiB";
		case KV_KEYS_NOT_A_SET:
			return "the key set is not a JSON object with an array \"keys\" of objects";
		case KV_KEYS_DUPLICATE:
			return "the key set has the same member twice in an object";
		case KV_KEYS_TOO_DEEP:
			return "the key set's JSON is nested too deep";
		case KV_KEYS_TOO_MANY:
			return "the key set has more than 64 keys";
		case KV_KEYS_NONE:
			return "the key set has no key for a signature of a supported algorithm";
		case KV_KEYS_MIXED:
			return "the key set has both symmetric and public keys";
		case KV_KEYS_SAME_ID:
			return "two keys have the same id";
		case KV_KEYS_ID:
			return "the key's id is not a text of 1 to 255 bytes";
		case KV_KEYS_TYPE:
			return "the key has no type, or a member of the wrong type";
		case KV_KEYS_PRIVATE:
			return "the key is a private key; publish it nowhere, and use its public part";
		case KV_KEYS_ALGORITHM:
			return "the key's algorithm is not one for its type or curve";
		case KV_KEYS_VALUE:
			return "a value of the key is absent, not base64url, or of the wrong length";
		case KV_KEYS_SHORT_RSA:
			return "the RSA key has less than 2048 or more than 8192 bits";
		case KV_KEYS_EXPONENT:
			return "the RSA key's exponent is not a sound one";
		case KV_KEYS_ROCA:
			return "the RSA key can be factored (CVE-2017-15361)";
		case KV_KEYS_NOT_ON_CURVE:
			return "the key is not a point of its curve";
		case KV_KEYS_SHORT_SECRET:
			return "the secret is shorter than the algorithm's hash";
		case KV_KEYS_LONG_SECRET:
			return "the secret is longer than 1024 bytes";
		case KV_KEYS_NO_MEMORY:
			return "out of memory";
		case KV_KEYS_LIBRARY:
			return "libjose is missing, or another library has replaced jansson's allocator";
	}
	return "unknown fault";
}
