/*
 * looks.c
 *		What looks like a key or a token.  The log's hook may read no table, so the
 *		prefixes of the providers that come with the extension stand here.
 */
#include "postgres.h"

#include "format/key_looks.h"
#include "server/redaction/looks.h"

#define PREFIX(text) {(text), sizeof(text) - 1}

/* sk- is that of sk-ant-, sk-or- and others as well. */
static const KvKeyPrefix prefixes[] = {
	PREFIX("AIza"), PREFIX("AQ."), PREFIX("sk-"), PREFIX("gsk_"), PREFIX("xai-"),
	PREFIX("hf_"), PREFIX("r8_"), PREFIX("tvly-"), PREFIX("pplx-"), PREFIX("fc-"),
	PREFIX("ghp_"), PREFIX("gho_"), PREFIX("ghu_"), PREFIX("ghs_"), PREFIX("ghr_"),
	PREFIX("github_pat_"), PREFIX("ck_")
};

bool
kv_find_look(const char *text, Size len, Size *start, Size *found_len)
{
	Size		token_start;
	Size		token_len;
	bool		found = kv_find_key(text, len, prefixes, lengthof(prefixes), start, found_len);

	if (kv_find_jwt(text, len, &token_start, &token_len) && (!found || token_start < *start))
	{
		*start = token_start;
		*found_len = token_len;
		found = true;
	}
	return found;
}

Size
kv_hide_looks(char *text, Size len)
{
	Size		read = 0;
	Size		written = 0;
	Size		start;
	Size		found_len;

	while (kv_find_look(text + read, len - read, &start, &found_len))
	{
		memmove(text + written, text + read, start);
		written += start;
		memset(text + written, '*', 4);
		written += 4;
		read += start + found_len;
	}
	memmove(text + written, text + read, len - read);
	return written + len - read;
}
