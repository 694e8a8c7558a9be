/*
 * dotenv_spell.h
 *		Spelling a value so that the readers of .env files agree on it.
 *
 * They are python-dotenv (interpolating or not) and npm's dotenv.
 */
#ifndef KV_DOTENV_SPELL_H
#define KV_DOTENV_SPELL_H

#include <stdbool.h>
#include <stddef.h>

/* How a value can be spelled, in the order of preference. */
typedef enum KvDotenvStyle
{
	KV_DOTENV_BARE,				/* characters that need no quotes anywhere */
	KV_DOTENV_SINGLE,
	KV_DOTENV_DOUBLE,
	KV_DOTENV_UNQUOTED			/* whatever needs none in a .env file */
} KvDotenvStyle;

#define KV_DOTENV_STYLES	4

/*
 * Whether python-dotenv would put something else for a part of it: for ${NAME} or
 * ${NAME:-default}, in whatever quotes.
 */
extern bool kv_dotenv_is_interpolated(const char *value, size_t len);

/*
 * Whether there can be a spelling at all.  Not for what is not UTF-8 or has a NUL,
 * and not for ${NAME}: python-dotenv interpolates that in whatever quotes.
 */
extern bool kv_dotenv_can_hold(const char *value, size_t len);

/* Whether they read this style alike, for a value that can be held. */
extern bool kv_dotenv_can_spell(KvDotenvStyle style, const char *value, size_t len);

/*
 * Writes a value with its quotes and escapes, on one line, to out, which needs room
 * for 2 * len + 2 bytes.  Returns how long it is.  Only for a style that can spell it.
 */
extern size_t kv_dotenv_spell(KvDotenvStyle style, const char *value, size_t len,
							  char *out);

#endif							/* KV_DOTENV_SPELL_H */
