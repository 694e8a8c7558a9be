/*
 * attribute_checks.c
 *		Looks at attributes before they are stored: they stand in the clear, in every
 *		backup.
 */
#include "postgres.h"

#include "format/key_looks.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/redaction/redaction.h"
#include "vault/providers/providers.h"
#include "vault/roots/attributes.h"
#include "vault/secrets/attribute_checks.h"

/* A shorter key may be a part of an address by chance. */
#define KEY_MIN 8

#define HINT "Pass a JSON object of what belongs with the key and is not secret, such as {\"base_url\": \"https://...\"}."

pg_noreturn static void
refuse(const char *what)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("attributes %s", what),
			 errhint(HINT),
			 errhidestmt(true), errhidecontext(true)));
}

/* Whether a string holds a key, which *start and *len are then. */
static bool
find_secret(const char *string, size_t string_len, const text *api_key,
			size_t *start, size_t *len)
{
	int			count;
	const KvKeyPrefix *prefixes = kv_provider_prefixes(&count);
	const char *key = VARDATA_ANY(api_key);
	size_t		key_len = VARSIZE_ANY_EXHDR(api_key);
	const char *found = key_len < KEY_MIN ? NULL : memmem(string, string_len, key, key_len);

	if (found != NULL)
	{
		*start = found - string;
		*len = key_len;
		return true;
	}
	return kv_find_key(string, string_len, 0, prefixes, count, start, len) ||
		kv_find_jwt(string, string_len, 0, start, len);
}

/* The name of a member, or a string anywhere. */
static void
check_string(const JsonbValue *string, const text *api_key)
{
	size_t		start;
	size_t		len;

	if (!find_secret(string->val.string.val, string->val.string.len, api_key, &start, &len))
		return;
	(void) kv_redaction_note_secret(string->val.string.val + start, (int) len);
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("attributes hold what looks like an API key or a token"),
			 errdetail("Nothing is stored: attributes stand in the database in the clear."),
			 errhint("Store each key with a call of key_vault.set() of its own, under another label if need be."),
			 errhidestmt(true), errhidecontext(true)));
}

void
kv_attributes_check(Jsonb *attributes, const text *api_key)
{
	char		buffer[KV_ATTRIBUTES_MAX];
	KvBytes		spelled;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (attributes == NULL)
		return;
	switch (kv_attributes_text(attributes, buffer, &spelled))
	{
		case KV_ATTRIBUTES_GOOD:
			break;
		case KV_ATTRIBUTES_NO_OBJECT:
			refuse("are not a JSON object");
		case KV_ATTRIBUTES_TOO_LARGE:
			refuse(psprintf("are longer than %d bytes", KV_ATTRIBUTES_MAX));
		case KV_ATTRIBUTES_TOO_DEEP:
			refuse(psprintf("are nested more than %d levels deep", KV_ATTRIBUTES_DEPTH));
		case KV_ATTRIBUTES_NOT_UTF8:
			kv_report_no_utf8();
	}

	iterator = JsonbIteratorInit(&attributes->root);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if ((token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM) && value.type == jbvString)
			check_string(&value, api_key);
	}
}
