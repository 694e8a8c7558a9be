/*
 * key_looks.h
 *		Whether a text looks like an API key or a JSON web token, and where one
 *		stands in running text.
 *
 * Looks are all that there is to go by: a provider's literal prefix, then letters
 * and digits mixed as in no name.  So a key without a known prefix is not seen, and
 * a very odd name may be taken for one.
 *
 * Nothing here allocates, fails, writes to what it reads or reads beyond len, and
 * any bytes are text: the log's hook calls it.  Each function takes time linear in
 * len, times the number of prefixes that begin with the same byte.
 */
#ifndef KV_KEY_LOOKS_H
#define KV_KEY_LOOKS_H

#include <stdbool.h>
#include <stddef.h>

#define KV_KEY_PREFIX_MIN	3	/* bytes of a prefix: fewer begin any word */
#define KV_KEY_PREFIX_MAX	32
#define KV_LOOKS_MIN		20	/* bytes of a key with its prefix, or of a token */

/* What the keys of a provider begin with, byte for byte: "sk-ant-". */
typedef struct KvKeyPrefix
{
	const char *text;
	size_t		len;			/* KV_KEY_PREFIX_MIN to KV_KEY_PREFIX_MAX; others match nothing */
} KvKeyPrefix;

/* Whether the text begins with one of the prefixes. */
extern bool kv_has_key_prefix(const char *text, size_t len,
							  const KvKeyPrefix *prefixes, int count);

/*
 * Whether the text begins with a key: one of the prefixes, KV_LOOKS_MIN bytes or more
 * of letters, digits and _-.+/=~, and among them what no name has:
 *
 * - 13 letters and digits in runs that change between the two, or between upper and
 *   lower case in the middle of a word, at least four times in all, 8 in one run; or
 * - 16 letters and digits in one run that change twice, or that begin with a digit.
 *
 * Names with a version, a date or the short hash that tools put behind them stay
 * names: ck_users_email_lower, hf_hub_download_file, sk-learn-pipeline-step-2.
 * A UUID is none either, whatever the prefixes.
 */
extern bool kv_looks_like_key(const char *text, size_t len,
							  const KvKeyPrefix *prefixes, int count);

/*
 * The same without a prefix, for what may be a key and is not to be quoted: any
 * KV_LOOKS_MIN bytes or more that are mixed so.
 */
extern bool kv_looks_mixed(const char *text, size_t len);

/* Whether the text is a UUID with its dashes, and nothing behind it but other characters. */
extern bool kv_looks_like_uuid(const char *text, size_t len);

/*
 * The next stretch of KV_LOOKS_MIN characters of keys or more: neither a key nor a token
 * is anywhere else.  *at, which is where to look from, becomes where it begins.
 */
extern bool kv_next_long_run(const char *text, size_t len, size_t *at, size_t *end);

/*
 * The first key in running text, from an offset on: *start is where its prefix begins,
 * *key_len how many bytes it has.  It begins where no letter or digit stands before it
 * (task-, disk-); what a backslash or a per cent sign escapes (\n, %20) is none.  It goes
 * on as far as its characters do, without a full stop at the end.  To find the next one,
 * search on from behind it.
 *
 * False, and *start and *key_len unchanged, when there is none.
 */
extern bool kv_find_key(const char *text, size_t len, size_t from,
						const KvKeyPrefix *prefixes, int count,
						size_t *start, size_t *key_len);

/*
 * Whether the text begins with a JSON web token in compact form: "eyJ", then
 * base64url with two dots (RFC 7515; the signature may be empty) or four (RFC 7516).
 */
extern bool kv_looks_like_jwt(const char *text, size_t len);

/* As kv_find_key, for the first JSON web token. */
extern bool kv_find_jwt(const char *text, size_t len, size_t from,
						size_t *start, size_t *jwt_len);

#endif							/* KV_KEY_LOOKS_H */
