/*
 * looks.c
 *		What looks like a key or a token.  The log's hook may read no table, so the
 *		prefixes of the providers that come with the extension stand here; others are
 *		known once the session has asked for a provider.
 */
#include "postgres.h"

#include "format/key_looks.h"
#include "server/redaction/looks.h"
#include "server/redaction/redaction.h"

#define PREFIX(text) {(text), sizeof(text) - 1}

/* sk- is that of sk-ant-, sk-or- and others as well. */
static const KvKeyPrefix builtin[] = {
	PREFIX("AIza"), PREFIX("AQ."), PREFIX("sk-"), PREFIX("gsk_"), PREFIX("xai-"),
	PREFIX("hf_"), PREFIX("r8_"), PREFIX("tvly-"), PREFIX("pplx-"), PREFIX("fc-"),
	PREFIX("ghp_"), PREFIX("gho_"), PREFIX("ghu_"), PREFIX("ghs_"), PREFIX("ghr_"),
	PREFIX("github_pat_"), PREFIX("ck_")
};

static const KvKeyPrefix *registered = NULL;
static int	registered_count = 0;

void
kv_redaction_look_for(const KvKeyPrefix *prefixes, int count)
{
	registered = prefixes;
	registered_count = count;
}

/* Where one stands; len is 0 when there is none. */
typedef struct Look
{
	Size		start;
	Size		len;
} Look;

static Look
first_of(Look one, Look other)
{
	if (one.len == 0 || (other.len > 0 && other.start < one.start))
		return other;
	return one;
}

static Look
find_in_run(const char *text, Size begin, Size end)
{
	Look		of_builtin = {0};
	Look		of_registered = {0};
	Look		token = {0};

	(void) kv_find_key(text, end, begin, builtin, lengthof(builtin), &of_builtin.start, &of_builtin.len);
	(void) kv_find_key(text, end, begin, registered, registered_count,
					   &of_registered.start, &of_registered.len);
	(void) kv_find_jwt(text, end, begin, &token.start, &token.len);
	return first_of(first_of(of_builtin, of_registered), token);
}

/* The first one from an offset on. */
static Look
find(const char *text, Size len, Size from)
{
	Look		look = {0};
	Size		end;

	for (; look.len == 0 && kv_next_long_run(text, len, &from, &end); from = end)
		look = find_in_run(text, from, end);
	return look;
}

bool
kv_has_look(const char *text, Size len)
{
	return find(text, len, 0).len > 0;
}

Size
kv_hide_looks(char *text, Size len)
{
	Size		read = 0;
	Size		written = 0;
	Look		look;

	/* what find looks back at has not been written over: a key has more bytes than stars */
	while ((look = find(text, len, read)).len > 0)
	{
		memmove(text + written, text + read, look.start - read);
		written += look.start - read;
		memset(text + written, '*', 4);
		written += 4;
		read = look.start + look.len;
	}
	memmove(text + written, text + read, len - read);
	return written + len - read;
}
