/*
 * dotenv_same.c
 *		Reads a changed .env file again, as both readers do, and says whether they find
 *		what they should.
 */
#include <stdlib.h>
#include <string.h>

#include "dotenv.h"
#include "dotenv_last.h"
#include "dotenv_same.h"

/* The next entry of one of the readers; false at the end. */
typedef bool (*Next) (KvDotenvReader *reader, KvDotenvEntry *entry);

/* The next entry that is not of this variable. */
static bool
next_other(Next next, KvDotenvReader *reader, KvDotenvEntry *entry, const char *name)
{
	bool		found;

	do
		found = next(reader, entry);
	while (found && kv_dotenv_has_name(reader->bytes.text, entry, name));
	return found;
}

static bool
is_same_entry(const char *old_text, const KvDotenvEntry *old_entry,
			  const char *new_text, const KvDotenvEntry *new_entry)
{
	return old_entry->has_value == new_entry->has_value &&
		old_entry->name_len == new_entry->name_len &&
		old_entry->value_len == new_entry->value_len &&
		memcmp(old_text + old_entry->name, new_text + new_entry->name,
			   old_entry->name_len) == 0 &&
		(old_entry->value_len == 0 ||
		 memcmp(old_text + old_entry->value, new_text + new_entry->value,
				old_entry->value_len) == 0);
}

/* Whether a reader finds all other variables spelled as they were. */
static bool
others_are_same(Next next, const char *old_text, size_t old_len,
				const char *new_text, size_t new_len, const char *name)
{
	KvDotenvReader old_reader;
	KvDotenvReader new_reader;
	KvDotenvEntry old_entry;
	KvDotenvEntry new_entry;

	kv_dotenv_begin(&old_reader, old_text, old_len);
	kv_dotenv_begin(&new_reader, new_text, new_len);
	for (;;)
	{
		bool		old_found = next_other(next, &old_reader, &old_entry, name);

		if (old_found != next_other(next, &new_reader, &new_entry, name))
			return false;
		if (!old_found)
			return true;
		if (!is_same_entry(old_text, &old_entry, new_text, &new_entry))
			return false;
	}
}

bool
kv_dotenv_rest_is_same(const char *old_text, size_t old_len,
					   const char *new_text, size_t new_len, const char *name)
{
	return others_are_same(kv_dotenv_python_next_entry, old_text, old_len,
						   new_text, new_len, name) &&
		others_are_same(kv_dotenv_npm_next, old_text, old_len, new_text, new_len, name);
}

KvStatus
kv_dotenv_reads_back(const char *text, size_t len, const char *name,
					 const char *value, size_t value_len)
{
	KvDotenvValue got = {.size = len};
	KvStatus	status;
	size_t		line;

	got.data = malloc(got.size > 0 ? got.size : 1);
	if (got.data == NULL)
		return KV_NO_MEMORY;
	status = kv_dotenv_get(text, len, name, &got, &line);
	if (status == KV_AMBIGUOUS ||
		(status == KV_OK && (!got.found || got.python_line != got.npm_line ||
							 got.len != value_len ||
							 (value_len > 0 && memcmp(got.data, value, value_len) != 0))))
		status = KV_UNREPRESENTABLE;
	kv_dotenv_free(got.data, got.size);
	return status;
}
