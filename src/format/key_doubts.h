/*
 * key_doubts.h
 *		What in a text says that it is no API key, or not as the provider gave it.
 *
 * The text is UTF-8; where it is not, its bytes stand for themselves.  Nothing here
 * allocates, fails or reads beyond len.
 */
#ifndef KV_KEY_DOUBTS_H
#define KV_KEY_DOUBTS_H

#include <stdbool.h>
#include <stddef.h>

/* What a page shows at most beside the stars: "sk-ant-api03-R2D...igAA". */
#define KV_MASK_HEAD_MAX	24	/* characters before them */
#define KV_MASK_TAIL_MAX	8	/* characters behind them */

/*
 * How many bytes are left without ASCII white space at both ends; *start is where
 * they begin.
 */
extern size_t kv_trimmed(const char *text, size_t len, size_t *start);

/* Whether the text is the word, which has only lower-case letters, in any case. */
extern bool kv_is_word(const char *text, size_t len, const char *word);

/*
 * Whether this is what a page shows instead of a key: a run of three or more stars,
 * bullets, blocks or dots (or an ellipsis), spaces and dashes in between, with no more
 * before and behind it than the sizes above; or a word such as [REDACTED].
 */
extern bool kv_looks_masked(const char *text, size_t len);

/*
 * Whether the key is a document, a JSON object or PEM (RFC 7468), and so may have line
 * ends and characters that an HTTP header cannot carry.  Only where it begins and ends
 * is looked at.  An OpenPGP message is no such key.
 */
extern bool kv_key_is_structured(const char *text, size_t len);

/*
 * Where the first byte is that an HTTP header cannot carry (RFC 9110, section 5.5,
 * without its obsolete text): control characters, and all that is not ASCII.  len when
 * there is none.
 */
extern size_t kv_first_unsendable(const char *text, size_t len);

/*
 * The name of an unsendable character, or NULL when it may be a part of the key that
 * was only typed wrong.  text begins with it.
 */
extern const char *kv_unsendable_name(const char *text, size_t len);

#endif							/* KV_KEY_DOUBTS_H */
