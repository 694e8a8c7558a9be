/*
 * dotenv_readers.h
 *		A .env file as python-dotenv reads it, and as npm's dotenv does: each to the
 *		letter, odd lines and all, so that it can be told where the two agree.
 *
 * dotenv_differential.py compares both with what they stand for.  Two things are left
 * to whoever asks: python-dotenv puts something else for ${NAME} in a value, and to it
 * a byte order mark is a part of the first name unless it is told utf-8-sig; here the
 * mark is skipped.
 */
#ifndef KV_DOTENV_READERS_H
#define KV_DOTENV_READERS_H

#include "dotenv_scan.h"

/* A variable's place in the text.  All but line are offsets and lengths in bytes. */
typedef struct KvDotenvEntry
{
	size_t		line;			/* on which the name stands, from 1 */
	size_t		start;			/* of its first line; to npm's dotenv perhaps behind U+2028 */
	size_t		end;			/* behind the end of its last line */
	size_t		name;
	size_t		name_len;
	bool		has_value;		/* false for a name alone, which npm's passes over */
	size_t		equals;			/* where the = or, to npm's, the : stands */
	size_t		value;			/* as it is spelled, with its quotes */
	size_t		value_len;
	char		quote;			/* python-dotenv's: ' or " or, without, NUL */
} KvDotenvEntry;

/* Where one goes through a text; the text must stay. */
typedef struct KvDotenvReader
{
	KvDotenvBytes bytes;
	size_t		offset;			/* of what comes next */
	size_t		line;			/* that a part of the text in front of it is on, */
	size_t		counted;		/* namely what is at this offset */
} KvDotenvReader;

extern void kv_dotenv_begin(KvDotenvReader *reader, const char *text, size_t len);

/* What kv_dotenv_python_next() found. */
typedef enum KvDotenvFound
{
	KV_DOTENV_ENTRY,
	KV_DOTENV_ODD,				/* a line that it cannot read; entry has line, start and end */
	KV_DOTENV_END
} KvDotenvFound;

extern KvDotenvFound kv_dotenv_python_next(KvDotenvReader *reader, KvDotenvEntry *entry);

/* The next entry, odd lines passed over; false at the end. */
extern bool kv_dotenv_python_next_entry(KvDotenvReader *reader, KvDotenvEntry *entry);
extern bool kv_dotenv_npm_next(KvDotenvReader *reader, KvDotenvEntry *entry);

/*
 * Writes an entry's value, without quotes and escapes, to out, which needs room for
 * entry->value_len bytes.  Returns how long it is.
 */
extern size_t kv_dotenv_python_decode(const char *text, const KvDotenvEntry *entry, char *out);
extern size_t kv_dotenv_npm_decode(const char *text, const KvDotenvEntry *entry, char *out);

#endif							/* KV_DOTENV_READERS_H */
